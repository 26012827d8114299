import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import express, { type ErrorRequestHandler, type RequestHandler, type Response } from 'express';
import { formBody, jsonBody, noBody } from '../../../src/platform/http/json-body';
import { toProblem } from '../../../src/platform/http/to-problem';
import { allowUpload, isUploading, openUpload } from '../../../src/platform/http/upload';
import { eventually } from '../../support/http';

/** Sends the start of a request, leaves, and resolves with the problem of what read the body. */
async function problemOf(handlers: readonly RequestHandler[], headers: string, body: string) {
  const app = express();
  const ended = new Promise<unknown>((resolve) => {
    // As a request that waits for its turn.
    app.use((req, _res, next) => {
      req.once('close', () => setImmediate(next));
    });
    app.use(...handlers);
    app.use((_req, _res, _next) => resolve('read'));
    app.use(((error, _req, _res, _next) => resolve(error)) satisfies ErrorRequestHandler);
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.end(`POST / HTTP/1.1\r\nHost: test\r\n${headers}\r\n\r\n${body}`);
  socket.on('error', () => {}).resume();
  const timer = setTimeout(() => socket.destroy(), 50);
  try {
    return toProblem(await ended);
  } finally {
    clearTimeout(timer);
    socket.destroy();
    server.closeAllConnections();
    server.close();
  }
}

const upload: RequestHandler = async (req, _res, next) => {
  for await (const _ of openUpload(req));
  next();
};
const NDJSON = 'application/x-ndjson';
const allowed = allowUpload([NDJSON], { timeoutMs: 60_000, maxBytes: 1000 });
const JSON_TYPE = 'Content-Type: application/json';
const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded';

test.each([
  ['a JSON body', jsonBody(100), `${JSON_TYPE}\r\nContent-Length: 20`],
  ['a JSON body in chunks', jsonBody(100), `${JSON_TYPE}\r\nTransfer-Encoding: chunked`],
  ['a form', formBody(100), `${FORM_TYPE}\r\nContent-Length: 20`],
  ['no body', [noBody], 'Content-Length: 20'],
  ['an upload', [upload], 'Content-Length: 20'],
  ['an upload that needs time', [allowed], `Content-Type: ${NDJSON}\r\nContent-Length: 20`],
  ['a compressed upload', [upload], 'Content-Encoding: gzip\r\nContent-Length: 20'],
])(
  'a client that left before its turn is no fault of the service: %s',
  async (_, handlers, headers) => {
    const body = headers.includes('chunked') ? '5\r\n{"a":' : '{"a":';
    const { status, code } = await problemOf(handlers, headers, body);
    expect([status, code]).toEqual([400, 'malformed_request']);
  },
);

test('a client that sent all of its body, and left before its turn', async () => {
  const headers = `${JSON_TYPE}\r\nContent-Length: 2`;
  const { status, code } = await problemOf(jsonBody(100), headers, '{}');
  expect([status, code]).toEqual([400, 'malformed_request']);
});

test('of two pipelined uploads, the second keeps its time when the first has ended', async () => {
  const open: Response[] = [];
  const app = express().use(allowed, (_req, res) => open.push(res));
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').resume();
  const head = `POST / HTTP/1.1\r\nHost: test\r\nContent-Type: ${NDJSON}\r\n`;
  socket.write(`${head}Content-Length: 2\r\n\r\n{}${head}Content-Length: 20\r\n\r\n{`);
  await eventually('both', () => open.length === 2);
  const [first, second] = open as [Response, Response];
  const ofServer = first.req.socket;
  const firstEnded = once(first, 'close');
  first.end();
  await firstEnded;
  expect(isUploading(ofServer)).toBe(true);
  const secondEnded = once(second, 'close');
  second.end();
  await secondEnded;
  expect(isUploading(ofServer)).toBe(false);
  socket.destroy();
  server.closeAllConnections();
  server.close();
});
