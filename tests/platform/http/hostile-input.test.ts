import { z } from 'zod';
import { displayName, emailAddress } from '../../../src/platform/http/fields';
import { parseForm } from '../../../src/platform/http/json-body';
import { fieldErrors, MAX_FIELD_ERRORS } from '../../../src/platform/http/validation';

const LENGTH = 200_000;
/** Quadratic code needs half a minute for these inputs, linear code a few ms. */
const ONE_READ_MS = 1000;

function msOf(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

test.each([
  [
    'a long name that ends in a control character',
    () => displayName.safeParse(`${'a'.repeat(LENGTH)}\u0001`),
  ],
  ['a long blank name', () => displayName.safeParse(' '.repeat(LENGTH))],
  [
    'an e-mail address of many labels',
    () => emailAddress.safeParse(`a@${'a.'.repeat(LENGTH / 2)}`),
  ],
  [
    'an e-mail address of one long label',
    () => emailAddress.safeParse(`a@${'a-'.repeat(LENGTH / 2)}`),
  ],
  [
    'a form of many names',
    () => parseForm(Array.from({ length: LENGTH / 5 }, (_, i) => i.toString(36)).join('&')),
  ],
])('%s is read in the time of its length', (_name, work) => {
  expect(msOf(work)).toBeLessThan(ONE_READ_MS);
});

test.each(['\u0001', 'a\u0000b', ' ', '\t', '\ud800', 'a\ud800', ''])(
  '%j is not a valid name',
  (name) => {
    expect(displayName.safeParse(name).success).toBe(false);
  },
);

test('a form field with one value is a string, with several an array, for every name', () => {
  const form = parseForm('a=1&b=2&a=3&a=4&__proto__=x&__proto__=y');
  expect(Object.entries(form)).toEqual([
    ['a', ['1', '3', '4']],
    ['b', '2'],
    ['__proto__', ['x', 'y']],
  ]);
});

test('the number of field errors in a response is bounded', () => {
  const unknown = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, 1]));
  const result = z.strictObject({}).safeParse(unknown);
  expect(result.success).toBe(false);
  if (!result.success) expect(fieldErrors(result.error)).toHaveLength(MAX_FIELD_ERRORS);
});
