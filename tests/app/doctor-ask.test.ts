import { createServer } from 'node:net';
import { ask } from '../../src/app/doctor/ask';

/** What `ask` makes of a server that sends this and closes. */
async function asked(text: string): Promise<unknown> {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve('never settles'), 3000);
  });
  try {
    return await Promise.race([ask(`http://127.0.0.1:${port}/`).catch(() => 'rejected'), late]);
  } finally {
    clearTimeout(timer);
    server.close();
  }
}

test.each([
  ['an upgrade', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
  ['nothing', ''],
  ['a part of the head', 'HTTP/1.1 200 OK\r\n'],
  ['a part of the body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal'],
])('a server that answers with %s', async (_, text) => {
  expect(await asked(text)).toBe('rejected');
});

test('a body that ends with the connection is whole', async () => {
  expect(await asked('HTTP/1.1 200 OK\r\n\r\nwhole')).toMatchObject({ status: 200, text: 'whole' });
});

test('HTTP where TLS is expected is told in plain words', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await expect(ask(`https://127.0.0.1:${port}/`)).rejects.toThrow(/^no TLS on that port/);
  server.close();
});
