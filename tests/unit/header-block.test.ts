import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import express from 'express';
import { messageConstructors } from '../../src/http/fast-prototypes';
import { addPending, endWithBlock, headerLine, installHeaderBlock, setLines } from '../../src/http/header-block';

const BODY = Buffer.from('{"name":"Zoë ✓"}');
const LINES = headerLine('ETag', '"1"') + headerLine('Content-Type', 'application/json');
const PENDING = headerLine('X-Request-Id', 'r1') + headerLine('RateLimit', '"client"; r=1');

interface Seen {
  writes: number;
  readonly ends: unknown[];
  finished: number;
  closed: number;
}

const unseen = (): Seen => ({ writes: 0, ends: [], finished: 0, closed: 0 });

/** `/block` in one piece; `/plain` the same answer by Node's own means. */
function createApp(seen: Seen) {
  const app = express();
  app.disable('x-powered-by');
  installHeaderBlock(app);
  const known = new Set<Socket>();
  app.use(({ socket }, res, next) => {
    const { write } = socket;
    if (!known.has(socket))
      socket.write = function count(this: Socket, ...args: unknown[]) {
        seen.writes += 1;
        return Reflect.apply(write, this, args) as boolean;
      };
    known.add(socket);
    res.on('finish', () => {
      seen.finished += 1;
    });
    res.on('close', () => {
      seen.closed += 1;
    });
    next();
  });
  app.all(['/block', '/wrapped', '/after-set', '/nothing'], (_req, res, next) => {
    addPending(res, PENDING);
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
  app.all(['/block', '/wrapped', '/after-set'], (_req, res) =>
    endWithBlock(res, 200, { lines: LINES, length: BODY.length, body: BODY.toString('latin1') }),
  );
  app.all('/nothing', (_req, res) => endWithBlock(res, 304, { lines: headerLine('ETag', '"1"'), length: undefined, body: '' }));
  app.all('/plain', (_req, res) => {
    const own = ['ETag', '"1"', 'Content-Type', 'application/json', 'Content-Length', String(BODY.length)];
    res.writeHead(200, ['X-Request-Id', 'r1', 'RateLimit', '"client"; r=1', ...own]);
    res.end(BODY);
  });
  app.all('/plain-nothing', (_req, res) => {
    res.writeHead(304, ['X-Request-Id', 'r1', 'RateLimit', '"client"; r=1', 'ETag', '"1"']);
    res.end();
  });
  app.all('/set', (_req, res) => {
    setLines(res, LINES);
    res.json(res.getHeaders());
  });
  return app;
}

/** Every byte of what a server says to `text`, until it closes the connection. */
async function say(text: string, seen: Seen = unseen()) {
  const app = createApp(seen);
  const server = createServer(messageConstructors(app), app as RequestListener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise<string>((resolve, reject) => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1', () => socket.write(text));
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk)).on('error', reject);
      socket.on('close', () =>
        resolve(
          Buffer.concat(chunks)
            .toString('latin1')
            .replaceAll(/Date: .*/g, 'Date: now'),
        ),
      );
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

const request = (path: string, { method = 'GET', version = '1.1', connection = 'close' } = {}) =>
  `${method} ${path} HTTP/${version}\r\nHost: a\r\nConnection: ${connection}\r\n\r\n`;

test.each([{ method: 'GET' }, { method: 'HEAD' }, { method: 'POST' }, { version: '1.0' }, { version: '1.0', method: 'HEAD' }])(
  'the bytes are those that Node would have sent: %j',
  async (how) => {
    const expected = await say(request('/plain', how));
    expect(expected).toContain('X-Request-Id: r1\r\n');
    expect(await say(request('/block', how))).toBe(expected);
    expect(await say(request('/nothing', how))).toBe(await say(request('/plain-nothing', how)));
  },
);

test('kept alive and pipelined, each answer is whole, written once, finished and closed', async () => {
  const seen: Seen = unseen();
  const three = (path: string) => request(path, { connection: 'keep-alive' }).repeat(2) + request(path);
  expect(await say(three('/block'), seen)).toBe(await say(three('/plain')));
  expect(seen).toEqual({ writes: 3, ends: [], finished: 3, closed: 3 });
});

test('headers that were set on the response take part', async () => {
  const answer = await say(request('/after-set', { connection: 'keep-alive' }));
  expect(answer).toContain('Connection: close\r\n');
  for (const part of [
    'X-Request-Id: r1',
    'RateLimit: "client"; r=1',
    'ETag: "1"',
    `Content-Length: ${BODY.length}`,
    BODY.toString('latin1'),
  ])
    expect(answer).toContain(part);
});

test('middleware that has taken over `end` is given the body', async () => {
  const seen: Seen = unseen();
  expect(await say(request('/wrapped'), seen)).toContain(BODY.toString('latin1'));
  expect(seen.ends).toEqual([BODY.toString('latin1')]);
});

test('lines can be set as headers', async () => {
  expect(await say(request('/set'))).toContain('{"etag":"\\"1\\"","content-type":"application/json"}');
});

test.each([
  ['Bad Name', 'x'],
  ['X-Split', 'a\r\nSet-Cookie: b=c'],
  ['X-Wide', '✓'],
  ['Content-Length', '1'],
  ['transfer-encoding', 'chunked'],
  ['Connection', 'close'],
])('%s: %j is no line of a block', (name, value) => {
  expect(() => headerLine(name, value)).toThrow();
});
