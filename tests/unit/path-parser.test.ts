import { z } from 'zod';
import { Problem } from '../../src/errors';
import { pathParser } from '../../src/http/validation';

const hex = z.string().regex(/^[0-9a-f]{2,4}$/, 'must be hex');
const path = z.strictObject({ id: z.union([z.literal('me'), hex]).meta({ description: 'an id' }) });
const WORDS = ['me', 'ab', 'abcd', 'abcde', '', 'ME', 'g0', 'ab\n', 'constructor', '12'];

/** What a parser says: the value, or the answer to a bad one. */
function said(parse: (params: Record<string, unknown>) => unknown, params: Record<string, unknown>): unknown {
  try {
    return parse(params);
  } catch (error) {
    if (error instanceof Problem) return [error.status, error.code, error.errors];
    throw error;
  }
}

/** zod alone: a refinement is nothing that the parser knows. */
const slow = pathParser(z.strictObject({ id: path.shape.id.refine(() => true) }));

test.each(WORDS)('of %j it says what zod says', (id) => {
  expect(said(pathParser(path), { id })).toEqual(said(slow, { id }));
});

test('a good parameter does not come to zod, a bad one does', () => {
  const asked = jest.spyOn(path, 'safeParse');
  try {
    const parse = pathParser(path);
    for (const id of ['me', 'ab', 'abcd']) expect(parse({ id })).toEqual({ id });
    expect(asked).not.toHaveBeenCalled();
    expect(() => parse({ id: 'xyz' })).toThrow(Problem);
    expect(asked).toHaveBeenCalledTimes(1);
  } finally {
    asked.mockRestore();
  }
});

test.each<[string, z.ZodType]>([
  ['a length', z.string().regex(/^a*$/).max(3)],
  [
    'a refinement',
    z
      .string()
      .regex(/^a*$/)
      .refine((value) => value.length < 4, 'too long'),
  ],
  ['no check at all, then a refinement', z.string().refine((value) => value.length < 4, 'too long')],
  ['an alternative with a length', z.union([z.literal('b'), z.string().regex(/^a*$/).max(3)])],
  ['a pattern that remembers where it was', z.string().regex(/a{0,3}(?!a)$/y)],
])('%s is left to zod', (_name, schema) => {
  const parse = pathParser(z.object({ id: schema }));
  for (let i = 0; i < 3; i += 1) expect(parse({ id: 'aaa' })).toEqual({ id: 'aaa' });
  expect(() => parse({ id: 'aaaa' })).toThrow(Problem);
});

test('what a schema changes is changed', () => {
  const parse = pathParser(
    z.object({
      id: z
        .string()
        .trim()
        .regex(/^ *a *$/),
    }),
  );
  expect(parse({ id: ' a ' })).toEqual({ id: 'a' });
  expect(pathParser(z.object({ id: hex.transform((text) => text.length) }))({ id: 'ab' })).toEqual({ id: 2 });
});

test('two parameters are left to zod', () => {
  const parse = pathParser(z.object({ a: hex, b: hex }));
  expect([parse({ a: '11', b: '22' }), parse({ a: '11', b: '33' })]).toEqual([
    { a: '11', b: '22' },
    { a: '11', b: '33' },
  ]);
  expect(() => parse({ a: '11', b: '' })).toThrow(Problem);
});
