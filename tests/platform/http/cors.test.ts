import { createServer } from 'node:http';
import compression from 'compression';
import cors from 'cors';
import express, { type RequestHandler } from 'express';
import { type CorsOrigins, corsFor, corsLines } from '../../../src/platform/http/cors';
import { installPendingHeaders } from '../../../src/platform/http/response-head';
import { withServer } from '../../support/with-server';

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

/** What a browser sees of a compressed answer behind `handler`. */
function answerBehind(handler: RequestHandler, origin: string | undefined) {
  const app = express();
  installPendingHeaders(app);
  app.use((req, _res, next) => {
    req.context = { pendingHeaders: [] } as unknown as typeof req.context;
    next();
  });
  app.use(handler, compression({ threshold: 0 }), (_req, res) => void res.send('{}'));
  return withServer(createServer(app), async (port) => {
    const { headers } = await fetch(`http://127.0.0.1:${port}`, {
      headers: origin === undefined ? {} : { origin },
    });
    const names = ['origin', 'credentials'].map((name) => `access-control-allow-${name}`);
    const vary = headers.get('vary')?.toLowerCase().split(', ').sort();
    const exposed = headers.get('access-control-expose-headers')?.toLowerCase().split(',');
    return [...names.map((name) => headers.get(name)), vary, exposed?.includes('etag')];
  });
}

const OTHER = 'https://b.example';
const STRANGER = 'https://stranger.example';
const SETTINGS: CorsOrigins[] = [
  { plain: ['*'], withCookies: [] },
  { plain: [OTHER], withCookies: [] },
  { plain: [], withCookies: [OWN] },
  { plain: [OTHER], withCookies: [OWN] },
  { plain: ['*'], withCookies: [OWN] },
];

/** The library, told the same. */
function library({ plain, withCookies }: CorsOrigins): RequestHandler {
  const exposedHeaders = ['ETag'];
  const isOpen = plain.includes('*');
  if (isOpen && withCookies.length === 0) return cors({ origin: '*', exposedHeaders });
  return cors((req, use) => {
    const isOwn = withCookies.includes(req.headers['origin'] ?? '');
    const origin = isOwn ? [...withCookies] : isOpen || [...plain];
    use(null, { origin, credentials: isOwn, exposedHeaders });
  });
}

test.each(
  SETTINGS.flatMap((settings) =>
    [OWN, OTHER, STRANGER, undefined].map((origin) => ({ ...settings, origin })),
  ),
)('a page sees what the library would say: %j', async ({ origin, ...settings }) => {
  const [seen, expected] = await Promise.all([
    answerBehind(corsFor(settings), origin),
    answerBehind(library(settings), origin),
  ]);
  // The names of headers are of no use to a page that may not read the answer.
  const isAllowed = expected[0] !== null;
  expect(seen).toEqual(isAllowed ? expected : [...expected.slice(0, -1), undefined]);
});
