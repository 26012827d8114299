import { EventEmitter, once } from 'node:events';
import {
  type IncomingMessage,
  type RequestListener,
  request,
  type ServerResponse,
} from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Request, Response } from 'express';
import { type ApiServer, createServer } from '../../../src/platform/http/server';
import { allowUpload, openUpload } from '../../../src/platform/http/upload';

/**
 * Time without a byte on the connection after which it is closed. A busy machine may keep this
 * process, client and server in one, from running for some of it.
 */
const SOCKET_TIMEOUT_MS = 600;
/** Of a database that is slow. A multiple: the time-out comes when the reader goes on. */
const READ_MS = 3 * SOCKET_TIMEOUT_MS;

/** The paths of requests whose connection has closed, or whose answer is sent. */
const closed = new EventEmitter();

const allow = allowUpload(['text/csv'], { timeoutMs: 60_000, maxBytes: 1 << 30 });
const app: RequestListener = (req, res) =>
  allow(req as Request, res as Response, () => void answer(req, res).catch(() => res.destroy()));

/** Larger than the buffers of a connection. */
const LARGE = Buffer.alloc(1 << 25);

async function answer(req: IncomingMessage, res: ServerResponse) {
  res.once('close', () => closed.emit(String(req.url)));
  let size = 0;
  for await (const bytes of openUpload(req as Request)) {
    if (size === 0) await sleep(READ_MS);
    size += bytes.length;
  }
  res.end(req.url === '/large' ? LARGE : String(size));
}

let api: ApiServer;
let port: number;
beforeAll(async () => {
  api = createServer(app, {
    ...{ headersTimeoutMs: 10_000, requestTimeoutMs: 60_000, keepAliveTimeoutMs: 60_000 },
    ...{ maxHeaderBytes: 2048, maxConnections: 100, drainTimeoutMs: 5000, drainIdleMs: 100 },
    socketTimeoutMs: SOCKET_TIMEOUT_MS,
  });
  ({ port } = await api.listen({ host: '127.0.0.1', port: 0 }));
});
afterAll(() => api.drain(200));

function upload(body: Buffer, headers: Record<string, string>, isEnded = true): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({
      port,
      method: 'POST',
      headers: { 'Content-Type': 'text/csv', ...headers },
    });
    sent.on('error', reject).on('response', (got) => {
      got.setEncoding('utf8').on('data', resolve);
    });
    sent.write(body);
    if (isEnded) sent.end();
  });
}

test.each([
  ['that has arrived', Buffer.from('email\n'), {}],
  ['small as gzip', gzipSync(Buffer.alloc(1 << 22)), { 'Content-Encoding': 'gzip' }],
  ['larger than the buffers of the connection', LARGE, {}],
] as const)('a file %s is answered, however slow its reader is', async (_what, body, headers) => {
  const size = 'Content-Encoding' in headers ? 1 << 22 : body.length;
  expect(await upload(body, headers)).toBe(String(size));
});

test('a client that stops in the middle of a file is cut off', async () => {
  const headers = { 'Content-Length': '100' };
  await expect(upload(Buffer.from('email\n'), headers, false)).rejects.toThrow('socket hang up');
});

test('a client that does not read its answer is cut off', async () => {
  const isClosed = once(closed, '/large', { signal: AbortSignal.timeout(30_000) });
  const client = connect(port, '127.0.0.1').pause();
  client.on('error', () => undefined);
  client.write('POST /large HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\n');
  client.write('Content-Length: 6\r\n\r\nemail\n');
  try {
    await expect(isClosed).resolves.toEqual([]);
  } finally {
    client.destroy();
  }
});
