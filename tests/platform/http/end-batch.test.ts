import { createServer, type RequestListener } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express, { type Express, type Response } from 'express';
import type { RequestContext } from '../../../src/platform/http/context';
import { createEndBatch } from '../../../src/platform/http/end-batch';
import { endWith, installPendingHeaders } from '../../../src/platform/http/response-head';
import { createAdmission } from '../../../src/platform/shedding/admission';
import { say, withServer } from '../../support/with-server';

const LIMITS = { inFlightMax: 1, loopBudgetMs: 1000 };

function createApp(events: string[]): Express {
  const app = express();
  app.disable('x-powered-by');
  installPendingHeaders(app);
  const endSoon = createEndBatch();
  app.use((req, res) => {
    req.context = { pendingHeaders: [] as string[] } as RequestContext;
    events.push(`take ${req.url}`);
    res.on('finish', () => events.push(`end ${req.url}`));
    endWith(res, 200, ['X-Path', req.url, 'Content-Length', '2'], 'ok', endSoon);
    events.push(`sent ${res.headersSent}, ended ${res.writableEnded}`);
  });
  return app;
}

const serving = <T>(app: RequestListener, work: (port: number) => Promise<T>) =>
  withServer(createServer(app), work);

const get = (path: string, connection = 'keep-alive') =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\n\r\n`;
const PIPELINE = get('/1') + get('/2') + get('/3', 'close');

test('requests that arrive together are all read, then answered in order', async () => {
  const events: string[] = [];
  const admission = createAdmission({ limits: LIMITS, exempt: new Set() });
  const said = await serving(admission.wrap(createApp(events) as RequestListener), (port) =>
    say(port, PIPELINE),
  );
  const answered = 'sent true, ended false';
  expect(events.slice(0, 6)).toEqual([
    'take /1',
    answered,
    'take /2',
    answered,
    'take /3',
    answered,
  ]);
  expect(events.slice(6)).toEqual(['end /1', 'end /2', 'end /3']);
  expect(said.match(/X-Path: \S+|200 OK|ok$|okHTTP|503/gm)).toEqual([
    ...[
      '200 OK',
      'X-Path: /1',
      'okHTTP',
      '200 OK',
      'X-Path: /2',
      'okHTTP',
      '200 OK',
      'X-Path: /3',
      'ok',
    ],
  ]);
  // Two of three at once would exceed inFlightMax; a decided response is not in flight.
  expect(admission.state()).toEqual({ inFlight: 0, shed: 0 });
});

test('at most 64 responses wait for each other', async () => {
  const taken: Response[] = [];
  /** For each request: how many responses had ended when it was read. */
  const ended: number[] = [];
  const app = express().use((_req, res, next) => {
    ended.push(taken.filter(({ writableEnded }) => writableEnded).length);
    taken.push(res);
    next();
  }, createApp([]));
  app.disable('x-powered-by');
  const paths = Array.from({ length: 100 }, (_, n) => `/${n}`);
  const text = paths.map((path) => get(path, path === '/99' ? 'close' : 'keep-alive')).join('');
  await serving(app as RequestListener, (port) => say(port, text));
  expect(ended).toEqual(paths.map((_, n) => (n < 64 ? 0 : 64)));
});

test('a client that closes before its response ends affects no other', async () => {
  const events: string[] = [];
  const app = createApp(events);
  const gone = express();
  gone.disable('x-powered-by');
  gone.use((req, _res, next) => {
    if (req.url === '/gone') req.socket.destroy();
    next();
  }, app);
  await serving(gone, async (port) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(get('/gone')));
    await new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
    await delay(20);
    const answer = await fetch(`http://127.0.0.1:${port}/after`, {
      headers: { connection: 'close' },
    });
    expect([answer.status, await answer.text()]).toEqual([200, 'ok']);
  });
  expect(events).toContain('end /after');
  expect(events).not.toContain('end /gone');
});
