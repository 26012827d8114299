import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express, { type Express, type Response } from 'express';
import { createAdmission } from '../../src/http/admission';
import { createEndBatch } from '../../src/http/end-batch';
import { endWithBlock, headerLine, installHeaderBlock } from '../../src/http/header-block';

const LIMITS = { inFlightMax: 1, loopBudgetMs: 1000 };

function createApp(happened: string[]): Express {
  const app = express();
  app.disable('x-powered-by');
  installHeaderBlock(app);
  const endSoon = createEndBatch();
  app.use((req, res) => {
    happened.push(`take ${req.url}`);
    res.on('finish', () => happened.push(`end ${req.url}`));
    endWithBlock(res, 200, { lines: headerLine('X-Path', req.url), length: 2, body: 'ok' }, endSoon);
    happened.push(`answered ${res.isAnswered}, sent ${res.headersSent}, ended ${res.writableEnded}`);
  });
  return app;
}

async function serving<T>(app: RequestListener, use: (port: number) => Promise<T>): Promise<T> {
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

const get = (path: string, connection = 'keep-alive') => `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\n\r\n`;
const PIPELINE = get('/1') + get('/2') + get('/3', 'close');

test('what came together is taken up whole, and then answered in order', async () => {
  const happened: string[] = [];
  const admission = createAdmission({ limits: LIMITS, exempt: new Set() });
  const said = await serving(admission.wrap(createApp(happened) as RequestListener), (port) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(PIPELINE));
    return new Promise<string>((resolve, reject) => {
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', reject).on('close', () => resolve(text));
    });
  });
  const answered = 'answered true, sent true, ended false';
  expect(happened.slice(0, 6)).toEqual(['take /1', answered, 'take /2', answered, 'take /3', answered]);
  expect(happened.slice(6)).toEqual(['end /1', 'end /2', 'end /3']);
  expect(said.match(/X-Path: \S+|200 OK|ok$|okHTTP|503/gm)).toEqual([
    ...['200 OK', 'X-Path: /1', 'okHTTP', '200 OK', 'X-Path: /2', 'okHTTP', '200 OK', 'X-Path: /3', 'ok'],
  ]);
  // Of three at once two would be one too many in flight; what is answered is not in flight.
  expect(admission.state()).toEqual({ inFlight: 0, shed: 0 });
});

test('no more than 64 wait for each other', async () => {
  const taken: Response[] = [];
  /** How many had been ended when each was taken up. */
  const ended: number[] = [];
  const app = express().use((_req, res, next) => {
    ended.push(taken.filter(({ writableEnded }) => writableEnded).length);
    taken.push(res);
    next();
  }, createApp([]));
  app.disable('x-powered-by');
  const paths = Array.from({ length: 100 }, (_, n) => `/${n}`);
  await serving(app as RequestListener, (port) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(paths.map((path) => get(path, path === '/99' ? 'close' : 'keep-alive')).join('')),
    );
    return new Promise<void>((resolve, reject) =>
      socket
        .resume()
        .on('error', reject)
        .on('close', () => resolve()),
    );
  });
  expect(ended).toEqual(paths.map((_, n) => (n < 64 ? 0 : 64)));
});

test('a client that is gone before its answer is ended harms nobody', async () => {
  const happened: string[] = [];
  const app = createApp(happened);
  const gone = express();
  gone.use((req, _res, next) => {
    if (req.url === '/gone') req.socket.destroy();
    next();
  }, app);
  await serving(gone, async (port) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(get('/gone')));
    await new Promise((resolve) => socket.on('error', () => {}).on('close', resolve));
    await delay(20);
    const answer = await fetch(`http://127.0.0.1:${port}/after`, { headers: { connection: 'close' } });
    expect([answer.status, await answer.text()]).toEqual([200, 'ok']);
  });
  expect(happened).toContain('end /after');
  expect(happened).not.toContain('end /gone');
});
