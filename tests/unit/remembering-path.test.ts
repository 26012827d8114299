import { z } from 'zod';
import { Problem } from '../../src/errors';
import { rememberingPath } from '../../src/http/validation';

const hex = z.string().regex(/^[0-9a-f]+$/);

function counted(schema: z.ZodType<string>) {
  let parsed = 0;
  const parse = rememberingPath(
    z.object({
      id: schema.transform((value) => {
        parsed += 1;
        return value.length;
      }),
    }),
  );
  return { parse, parsed: () => parsed };
}

test('a good parameter is parsed once and its result cannot be changed', () => {
  const { parse, parsed } = counted(hex);
  expect([parse({ id: 'ab' }), parse({ id: 'ab' }), parse({ id: 'abc' })]).toEqual([{ id: 2 }, { id: 2 }, { id: 3 }]);
  expect(parsed()).toBe(2);
  expect(Object.isFrozen(parse({ id: 'ab' }))).toBe(true);
});

test('a bad one is refused each time', () => {
  const { parse } = counted(hex);
  for (let i = 0; i < 3; i += 1) expect(() => parse({ id: 'xyz' })).toThrow(Problem);
});

test('what is remembered is bounded', () => {
  const { parse, parsed } = counted(hex);
  for (let n = 0; n < 25_000; n += 1) parse({ id: n.toString(16) });
  expect(parsed()).toBe(25_000);
  expect(parse({ id: '0' })).toEqual({ id: 1 });
  expect(parsed()).toBe(25_001);
});

test('two parameters are parsed each time', () => {
  const parse = rememberingPath(z.object({ a: hex, b: hex }));
  expect([parse({ a: '1', b: '2' }), parse({ a: '1', b: '3' })]).toEqual([
    { a: '1', b: '2' },
    { a: '1', b: '3' },
  ]);
});
