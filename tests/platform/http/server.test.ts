import { once } from 'node:events';
import { Agent, get, type RequestListener } from 'node:http';
import { connect, createServer as createNetServer, type Socket } from 'node:net';
import { type ApiServer, createServer, type ServerLimits } from '../../../src/platform/http/server';
import { until } from '../../support/service';

const limits: ServerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  socketTimeoutMs: 30_000,
  keepAliveTimeoutMs: 60_000,
  maxHeaderBytes: 2048,
  maxConnections: 100,
  drainTimeoutMs: 5000,
  drainIdleMs: 100,
};
const HELLO = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
let asked = 0;
const hello: RequestListener = (request, response) => {
  asked++;
  request.resume();
  if (request.url === '/slow') setTimeout(() => response.end('slow'), 400);
  else request.once('end', () => response.end('hello'));
};

let api: ApiServer;
let port: number;
const sockets: Socket[] = [];
async function serve(changes: Partial<ServerLimits> = {}, app = hello): Promise<void> {
  asked = 0;
  api = createServer(app, { ...limits, ...changes });
  ({ port } = await api.listen({ host: '127.0.0.1', port: 0 }));
}
/** Opens a raw connection and sends `text`; `answer` collects the received bytes. */
async function raw(text: string) {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const state = { answer: '', ended: false, socket };
  socket.setEncoding('utf8').on('data', (part: string) => {
    state.answer += part;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    state.ended = true;
  });
  await once(socket, 'connect');
  socket.write(text);
  return state;
}

function block(): void {
  const end = performance.now() + 100;
  while (performance.now() < end);
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await api.drain(200);
});

test('headers that come too slowly end the connection with 408', async () => {
  await serve({ headersTimeoutMs: 200, requestTimeoutMs: 400 });
  const slow = await raw('GET / HTTP/1.1\r\nHost: x\r\n');
  await until('the 408', () => slow.ended);
  expect(slow.answer).toMatch(/^HTTP\/1\.1 408 /);
});

test('a body that comes too slowly ends the connection with 408', async () => {
  await serve({ headersTimeoutMs: 200, requestTimeoutMs: 400 });
  const slow = await raw('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
  await until('the 408', () => slow.ended);
  expect(slow.answer).toMatch(/^HTTP\/1\.1 408 /);
});

test('the same limits hold for connections that another process accepted', async () => {
  api = createServer(hello, { ...limits, headersTimeoutMs: 200, requestTimeoutMs: 400 });
  api.open();
  const front = createNetServer((socket) => api.accept(socket));
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  ({ port } = front.address() as { port: number });
  const slow = await raw('GET / HTTP/1.1\r\nHost: x\r\n');
  const honest = await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('the answer', () => honest.answer.endsWith('hello'));
  await until('the 408', () => slow.ended);
  expect(slow.answer).toMatch(/^HTTP\/1\.1 408 /);
  front.close();
});

test('a client that sends requests and never reads is disconnected after socketTimeoutMs', async () => {
  const large = Buffer.alloc(1 << 20);
  await serve({ socketTimeoutMs: 300 }, (_request, response) => response.end(large));
  const greedy = await raw('');
  greedy.socket.pause();
  greedy.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50));
  await until('the request', () => api.connections() === 1);
  await until('the cut', () => api.connections() === 0);
});

test('headers larger than the limit are refused with 431', async () => {
  await serve();
  const large = await raw(`GET / HTTP/1.1\r\nHost: x\r\nX-Fill: ${'a'.repeat(3000)}\r\n\r\n`);
  await until('the end', () => large.ended);
  expect(large.answer).toMatch(/^HTTP\/1\.1 431 /);
});

test('connections over the limit are closed, the others keep working', async () => {
  await serve({ maxConnections: 2 });
  const first = await raw('');
  await raw('');
  await until('both connections', () => api.connections() === 2);
  const third = await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('its end', () => third.ended);
  first.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('the answer', () => first.answer.endsWith('hello'));
});

test('drain: requests in flight finish, a last request on an idle connection gets Connection: close', async () => {
  await serve({ drainIdleMs: 300 });
  const slow = await raw('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  const kept = await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('the first answer', () => kept.answer.endsWith('hello'));
  expect(kept.answer).toMatch(/Connection: keep-alive/i);
  const drained = api.drain(5000);
  expect(api.leaving).toBe(true);
  kept.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('its end', () => kept.ended);
  expect(kept.answer.split('HTTP/1.1 200').at(-1)).toMatch(/Connection: close[\s\S]*hello$/i);
  await until('the slow answer', () => slow.answer.endsWith('slow'));
  expect(await drained).toEqual({ cut: 0 });
  await expect(raw('').then(({ socket }) => once(socket, 'connect'))).rejects.toThrow(
    'ECONNREFUSED',
  );
});

test('drain: idle and unused connections are closed after the idle time, and only then', async () => {
  await serve({ drainIdleMs: 200 });
  const idle = await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const unused = await raw('');
  await until('the answer', () => idle.answer.endsWith('hello') && api.connections() === 2);
  const from = performance.now();
  expect(await api.drain(5000)).toEqual({ cut: 0 });
  expect(performance.now() - from).toBeGreaterThan(190);
  await until('both ends', () => idle.ended && unused.ended);
});

test('drain: a request that waited for a busy event loop is answered after the idle time', async () => {
  await serve({ drainIdleMs: 100 });
  const kept = await raw(HELLO);
  await until('the first answer', () => kept.answer.endsWith('hello'));
  const drained = api.drain(5000);
  // After the first block, the second one and the drain's timer are both due, and run without a
  // read of the sockets in between.
  setTimeout(block, 50);
  setTimeout(() => {
    kept.socket.write(HELLO);
    block();
  }, 51);
  expect(await drained).toEqual({ cut: 0 });
  await until('its end', () => kept.ended);
  expect(kept.answer.split('HTTP/1.1 200').at(-1)).toMatch(/Connection: close[\s\S]*hello$/i);
});

test('drain: a response pending at its start has Connection: close', async () => {
  await serve({ drainIdleMs: 50 });
  const slow = await raw('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('the request', () => asked > 0);
  await api.drain(5000);
  await until('its end', () => slow.ended);
  expect(slow.answer).toMatch(/Connection: close[\s\S]*slow$/i);
});

test('drain: a connection in steady use is closed with a response, also after a short idle time', async () => {
  await serve({ drainIdleMs: 20 });
  const steady = await raw('');
  for (let n = 1; n <= 4; n++) {
    steady.socket.write(HELLO);
    await until('its answer', () => steady.answer.split('hello').length === n + 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const drained = api.drain(5000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(steady.ended).toBe(false);
  steady.socket.write(HELLO);
  expect(await drained).toEqual({ cut: 0 });
  await until('its end', () => steady.ended);
  expect(steady.answer.split('HTTP/1.1 200').at(-1)).toMatch(/Connection: close[\s\S]*hello$/i);
});

test('drain: a response that the client is still reading is not cut off as idle', async () => {
  const large = Buffer.alloc(1 << 25, 'a');
  await serve({ drainIdleMs: 50 }, (_request, response) => {
    asked++;
    response.end(large);
  });
  const slow = await raw('');
  slow.socket.pause();
  slow.socket.write(HELLO);
  await until('the request', () => asked > 0);
  const drained = api.drain(5000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  slow.socket.resume();
  expect(await drained).toEqual({ cut: 0 });
  await until('its end', () => slow.ended);
  expect(slow.answer.length).toBeGreaterThan(large.length);
});

test('drain: unfinished requests are cut off at the deadline, and close() rejects', async () => {
  await serve({ drainTimeoutMs: 200 }, () => {});
  const hanging = await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('the request', () => api.connections() === 1);
  await expect(api.close()).rejects.toThrow('1 connections were cut off');
  await until('its end', () => hanging.ended);
});

test('drain: busy clients lose no request', async () => {
  await serve();
  const agent = new Agent({ keepAlive: true, maxSockets: 10 });
  let answered = 0;
  const refusedAfterwards = new Set<string>();
  const client = async () => {
    for (;;) {
      const outcome = await new Promise<string>((resolve) => {
        get({ port, host: '127.0.0.1', agent }, (answer) =>
          answer.resume().once('end', () => resolve('answered')),
        ).once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
      });
      if (outcome !== 'answered') return refusedAfterwards.add(outcome);
      answered++;
    }
  };
  const clients = Promise.all(Array.from({ length: 10 }, client));
  await until('some traffic', () => answered > 200);
  await api.drain(5000);
  await clients;
  agent.destroy();
  // New connections are refused; no request on an open connection was lost.
  expect([...refusedAfterwards]).toEqual(['ECONNREFUSED']);
});
