import { createServer, type RequestListener } from 'node:http';
import express from 'express';
import type { RequestContext } from '../../../src/platform/http/context';
import type { End } from '../../../src/platform/http/end-batch';
import { messageConstructors } from '../../../src/platform/http/fast-prototypes';
import {
  endWith,
  flatHeaders,
  installPendingHeaders,
  setHeaders,
} from '../../../src/platform/http/response-head';
import { say, withServer } from '../../support/with-server';

const BYTES = Buffer.from('{"name":"Zoë ✓"}');
const BODY = BYTES.toString('latin1');
const HEADERS = ['ETag', '"1"', 'Content-Type', 'application/json'];
const LENGTH = ['Content-Length', String(BODY.length)];
const PENDING = ['X-Request-Id', 'r1', 'RateLimit', '"client"; r=1'];
const endNow: End = (res, body) => {
  res.end(body, 'latin1');
};

interface Seen {
  readonly ends: unknown[];
  finished: number;
  closed: number;
}

const unseen = (): Seen => ({ ends: [], finished: 0, closed: 0 });

/** `/whole` uses endWith; `/plain` sends the same response with Node's methods. */
function createApp(seen: Seen) {
  const app = express();
  app.disable('x-powered-by');
  installPendingHeaders(app);
  app.use((req, res, next) => {
    req.context = { pendingHeaders: [] as string[] } as RequestContext;
    res.on('finish', () => {
      seen.finished += 1;
    });
    res.on('close', () => {
      seen.closed += 1;
    });
    next();
  });
  app.all(['/whole', '/wrapped', '/after-set', '/nothing'], (req, _res, next) => {
    req.context.pendingHeaders.push(...PENDING);
    next();
  });
  app.all('/wrapped', (_req, res, next) => {
    const { end } = res;
    res.end = function watched(this: typeof res, ...args: unknown[]) {
      seen.ends.push(args[0]);
      return Reflect.apply(end, this, args) as typeof res;
    } as typeof res.end;
    next();
  });
  app.all('/after-set', (_req, res, next) => {
    res.setHeader('Connection', 'close');
    next();
  });
  app.all(['/whole', '/wrapped', '/after-set'], (_req, res) =>
    endWith(res, 200, [...HEADERS, ...LENGTH], BODY, endNow),
  );
  app.all('/nothing', (_req, res) => endWith(res, 304, ['ETag', '"1"'], undefined, endNow));
  app.all('/injected', (req, res) => {
    req.context.pendingHeaders.push('X-Request-Id', 'a\r\nSet-Cookie: b=c');
    endWith(res, 200, LENGTH, BODY, endNow);
  });
  app.all('/plain', (_req, res) => {
    res.writeHead(200, [...PENDING, ...HEADERS, ...LENGTH]);
    res.end(BYTES);
  });
  app.all('/plain-nothing', (_req, res) => {
    res.writeHead(304, [...PENDING, 'ETag', '"1"']);
    res.end();
  });
  app.all('/set', (_req, res) => {
    setHeaders(res, HEADERS);
    res.json(res.getHeaders());
  });
  return app;
}

/** Response of the app's server to `text`, with a fixed date. */
async function said(text: string, seen: Seen = unseen()) {
  const app = createApp(seen);
  const answer = await withServer(
    createServer(messageConstructors(app), app as RequestListener),
    (port) => say(port, text),
  );
  return answer.replaceAll(/Date: .*/g, 'Date: now');
}

const request = (path: string, { method = 'GET', version = '1.1', connection = 'close' } = {}) =>
  `${method} ${path} HTTP/${version}\r\nHost: a\r\nConnection: ${connection}\r\n\r\n`;

test.each([
  { method: 'GET' },
  { method: 'HEAD' },
  { method: 'POST' },
  { version: '1.0' },
  { version: '1.0', method: 'HEAD' },
])('the bytes are those of writeHead and end: %j', async (how) => {
  const expected = await said(request('/plain', how));
  expect(expected).toContain('X-Request-Id: r1\r\n');
  expect(await said(request('/whole', how))).toBe(expected);
  expect(await said(request('/nothing', how))).toBe(await said(request('/plain-nothing', how)));
});

test('with keep-alive and pipelining each response is complete, finished and closed', async () => {
  const seen: Seen = unseen();
  const three = (path: string) =>
    request(path, { connection: 'keep-alive' }).repeat(2) + request(path);
  expect(await said(three('/whole'), seen)).toBe(await said(three('/plain')));
  expect(seen).toEqual({ ends: [], finished: 3, closed: 3 });
});

test('headers that were set on the response are sent too', async () => {
  const answer = await said(request('/after-set', { connection: 'keep-alive' }));
  expect(answer).toContain('Connection: close\r\n');
  for (const part of [
    'X-Request-Id: r1',
    'RateLimit: "client"; r=1',
    'ETag: "1"',
    `Content-Length: ${BODY.length}`,
    BODY,
  ])
    expect(answer).toContain(part);
});

test('middleware that replaced `end` receives the body', async () => {
  const seen: Seen = unseen();
  expect(await said(request('/wrapped'), seen)).toContain(BODY);
  expect(seen.ends).toEqual([BODY]);
});

test('a flat list can be set as headers', async () => {
  expect(await said(request('/set'))).toContain(
    '{"etag":"\\"1\\"","content-type":"application/json"}',
  );
});

test.each([
  ['Bad Name', 'x'],
  ['X-Split', 'a\r\nSet-Cookie: b=c'],
  ['X-Wide', '✓'],
])('the header %s: %j is refused', (name, value) => {
  expect(() => flatHeaders({ [name]: value })).toThrow();
});

test('a pending header with a line break is refused before anything is sent', async () => {
  const answer = await said(request('/injected'));
  expect(answer).toMatch(/^HTTP\/1\.1 500 /);
  expect(answer).not.toContain('Set-Cookie');
});
