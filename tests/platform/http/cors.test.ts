import { corsLines } from '../../../src/platform/http/cors';

const OWN = 'https://app.example.org';
const headersFor = (plain: string[], withCookies: string[], origin?: string) => {
  const lines = corsLines({ plain, withCookies }, origin);
  const pairs = lines.flatMap((name, i) => (i % 2 === 0 ? [[name, lines[i + 1]]] : []));
  const all = Object.fromEntries(pairs) as Record<string, string>;
  return [
    all['Access-Control-Allow-Origin'],
    all['Access-Control-Allow-Credentials'],
    all['Vary'],
    all['Access-Control-Expose-Headers']?.includes('Set-Cookie'),
  ];
};

test.each([
  ['an own page', ['https://other.example'], OWN, [OWN, 'true', 'Origin', false]],
  [
    'a page without cookies',
    [OWN, 'https://b.example'],
    'https://b.example',
    ['https://b.example', undefined, 'Origin', false],
  ],
  ['an own page where all may read', ['*'], OWN, [OWN, 'true', 'Origin', false]],
  [
    'any page where all may read',
    ['*'],
    'https://any.example',
    ['https://any.example', undefined, 'Origin', false],
  ],
  [
    'a page that is not listed',
    [],
    'https://any.example',
    [undefined, undefined, 'Origin', undefined],
  ],
  ['no page', ['*'], undefined, [undefined, undefined, 'Origin', undefined]],
])(
  'answers before the app allow cookies for own pages only: %s',
  (_name, plain, origin, expected) => {
    expect(headersFor(plain, [OWN], origin)).toEqual(expected);
  },
);

test('without own pages nothing depends on the origin where all may read', () => {
  expect(headersFor(['*'], [], OWN)).toEqual(['*', undefined, undefined, false]);
  expect(corsLines({ plain: [], withCookies: [] }, OWN)).toEqual([]);
});
