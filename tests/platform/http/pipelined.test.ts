import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express from 'express';
import type { ReplyStream } from '../../../src/platform/http/endpoint';
import { closeWithConnection } from '../../../src/platform/http/pipelined';
import { createSender } from '../../../src/platform/http/send-reply';
import { startTestService, type TestService } from '../../support/app';
import { createClient, eventually, login } from '../../support/http';
import { type OtlpReceiver, startOtlpReceiver } from '../../support/otlp';

const TRACES = ['ab', 'cd'].map((two) => two.repeat(16));
const lines: Record<string, unknown>[] = [];
let receiver: OtlpReceiver;
let service: TestService;
let token: string;

beforeAll(async () => {
  receiver = await startOtlpReceiver();
  service = await startTestService(
    {
      ...{ EVENTS_STREAMS_MAX: '2', LOG_LEVEL: 'info', ACCESS_LOG: 'true' },
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    },
    undefined,
    { write: (line) => lines.push(JSON.parse(line)) },
  );
  token = await login(createClient(service.baseUrl), service.admin.email, service.admin.password);
});
afterAll(async () => {
  await service?.close();
  await receiver?.close();
});

/** Sends both requests at once; the second waits behind the first. */
async function pipelined(url: string, heads: readonly string[]): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).on('error', () => {});
  socket.write(heads.map((head) => `GET ${head}\r\nHost: test\r\n\r\n`).join(''));
  await once(socket, 'data');
  return socket;
}

const streamStatus = async (): Promise<number> => {
  const { status, body } = await fetch(`${service.baseUrl}/api/events/stream`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (status !== 200) await body?.cancel();
  return status;
};

test('pipelined streams free their places, and have log lines and spans, when the client goes', async () => {
  const heads = TRACES.map(
    (trace) =>
      `/api/events/stream HTTP/1.1\r\nAuthorization: Bearer ${token}\r\ntraceparent: 00-${trace}-${'ef'.repeat(8)}-01`,
  );
  const socket = await pipelined(service.baseUrl, heads);
  await eventually('both streams', async () => (await streamStatus()) === 429);
  lines.length = 0;
  socket.resetAndDestroy();
  for (const place of ['first', 'second'])
    await eventually(`the ${place} place`, async () => (await streamStatus()) === 200, 6000);
  const aborted = await eventually('the log lines', () => {
    const found = lines.filter(({ aborted }) => aborted === true);
    return found.length >= 2 && found;
  });
  // Node may emit 'close' as well, on a later turn.
  await delay(50);
  expect(lines.filter((line) => line['aborted'] === true)).toHaveLength(2);
  expect(aborted).toHaveLength(2);
  for (const trace of TRACES) await receiver.traceWith('GET /api/events/stream', trace);
}, 30_000);

/** A server that answers every request with this stream, at once or when its client has left. */
async function streaming(stream: ReplyStream, afterClose = false) {
  const send = createSender({ compress: (_req, _res, next) => next(), compressFromBytes: 1e9 });
  const app = express();
  app.use((req, res) => {
    closeWithConnection(req, res);
    const answer = () => void send(req, res, { status: 200, stream });
    if (afterClose) res.once('close', () => setImmediate(answer));
    else answer();
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const THREE = ['/a HTTP/1.1', '/b HTTP/1.1', '/c HTTP/1.1'];

test('a pipelined stream that waits for its reader ends with the connection', async () => {
  let begun = 0;
  let ended = 0;
  async function* endless(): AsyncGenerator<string> {
    begun += 1;
    try {
      for (;;) yield 'x'.repeat(100_000);
    } finally {
      ended += 1;
    }
  }
  const { server, url } = await streaming(() => endless());
  const socket = await pipelined(url, THREE);
  socket.pause();
  await eventually('the streams', () => begun === 3);
  socket.resetAndDestroy();
  await eventually('their ends', () => ended === 3);
  server.close();
});

test('a stream that begins when the client has left knows it', async () => {
  const left: boolean[] = [];
  async function* seen(closed: AbortSignal): AsyncGenerator<string> {
    left.push(closed.aborted);
    yield '';
  }
  const { server, url } = await streaming(seen, true);
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).on('error', () => {});
  socket.write(THREE.map((head) => `GET ${head}\r\nHost: test\r\n\r\n`).join(''));
  await once(server, 'request');
  socket.resetAndDestroy();
  await eventually('all streams', () => left.length === 3);
  expect(left).toEqual([true, true, true]);
  server.close();
});
