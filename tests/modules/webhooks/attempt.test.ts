import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { BlockList } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { attempt } from '../../../src/modules/webhooks/attempt';
import { allowedNetworks, isAllowedTarget } from '../../../src/modules/webhooks/guarded-lookup';
import { whileCollecting } from '../../support/collecting';
import { eventually } from '../../support/http';

/** A receiver in its own process; it prints the requests that arrived. */
const RECEIVER = `
const { createServer } = require('node:http');
const answers = {
  '/ok': (req, res) => res.end('thanks'),
  '/fails': (req, res) => res.writeHead(500).end(),
  '/busy': (req, res) => res.writeHead(503, { 'retry-after': '999999999' }).end(),
  '/later': (req, res) =>
    res.writeHead(429, { 'retry-after': new Date(Date.now() + 90_000).toUTCString() }).end(),
  '/gone': (req, res) => res.writeHead(410).end(),
  '/moved': (req, res) => res.writeHead(307, { location: '/ok' }).end(),
  '/closes': (req) => req.socket.destroy(),
  '/hangs': () => undefined,
  '/upgrades': (req) =>
    req.socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: x\\r\\n\\r\\n'),
  '/endless': (req, res) => { setInterval(() => res.write('x'.repeat(9000)), 1).unref(); },
  '/trickles': (req, res) => { res.writeHead(200); setInterval(() => res.write('x'), 50).unref(); },
  '/closed': (req, res) => {
    res.writeHead(200);
    setInterval(() => res.write('x'), 50).unref();
    res.on('close', () => console.log(JSON.stringify({ path: 'closed' })));
  },
};
const server = createServer((req, res) => {
  let body = '';
  req.on('data', (part) => { body += part; });
  req.on('end', () => {
    console.log(JSON.stringify({ path: req.url, headers: req.headers, body }));
    answers[req.url](req, res);
  });
}).listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
`;
const OLD = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const NEW = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const OTHER = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const message = { id: '6b08c3a1fd17d31180748f48', body: '{"name":"Ünïcode"}' };
const loopback = allowedNetworks(['127.0.0.0/8']);

interface Received {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

let child: ChildProcess;
let port = 0;
let received: Received[];

beforeAll(async () => {
  child = spawn(process.execPath, ['-e', RECEIVER], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((resolve) => {
    let text = '';
    child.stdout?.on('data', (part: Buffer) => {
      const lines = (text + part.toString()).split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('{')) received.push(JSON.parse(line));
        else port = Number(line);
      }
      resolve();
    });
  });
});
afterAll(async () => {
  const exited = once(child, 'exit');
  child.stdin?.end();
  await exited;
});
beforeEach(() => {
  received = [];
});

const post = (
  path: string,
  {
    allowed = loopback,
    host = '127.0.0.1',
    timeoutMs = 5000,
    now = Date.now,
    signal = new AbortController().signal,
  } = {},
) =>
  attempt(message, {
    url: new URL(`http://${host}:${port}${path}`),
    secrets: [NEW, OLD],
    ...{ allowed, timeoutMs, now, signal },
  });

test("a receiver may say by a date when it wants the next attempt, and the host's clock may be wrong", async () => {
  const answer = await post('/later', { now: () => Date.now() + 60_000 });
  expect(answer).toMatchObject({ result: 'failed', reason: 'status', status: 429 });
  const { retryAfterSeconds = 0 } = answer as { retryAfterSeconds?: number };
  expect(retryAfterSeconds).toBeGreaterThan(10);
  expect(retryAfterSeconds).toBeLessThanOrEqual(31);
  await expectReceived(['/later']);
});

async function expectReceived(paths: readonly string[]): Promise<void> {
  await eventually('the request', () => received.length >= paths.length);
  expect(received.map(({ path }) => path)).toEqual(paths);
}

test('a receiver that knows either secret accepts the message, and no other one', async () => {
  expect(await post('/ok')).toEqual({ result: 'delivered', status: 200 });
  await expectReceived(['/ok']);
  const [{ headers, body } = { headers: {}, body: '' }] = received;
  for (const secret of [OLD, NEW])
    expect(new Webhook(secret).verify(body, headers)).toEqual({ name: 'Ünïcode' });
  expect(() => new Webhook(OTHER).verify(body, headers)).toThrow();
  expect(() => new Webhook(NEW).verify(`${body} `, headers)).toThrow();
});

test.each([
  ['/fails', { result: 'failed', reason: 'status', status: 500 }],
  ['/busy', { result: 'failed', reason: 'status', status: 503, retryAfterSeconds: 86_400 }],
  ['/gone', { result: 'gone', status: 410 }],
  ['/moved', { result: 'failed', reason: 'redirect', status: 307 }],
  ['/closes', { result: 'failed', reason: 'connection' }],
  ['/hangs', { result: 'failed', reason: 'timeout' }],
  ['/upgrades', { result: 'failed', reason: 'status', status: 101 }],
  ['/endless', { result: 'delivered', status: 200 }],
  ['/trickles', { result: 'delivered', status: 200 }],
])('a receiver that answers as %s', async (path, expected) => {
  const startMs = performance.now();
  expect(await post(path, { timeoutMs: 1000 })).toEqual(expected);
  expect(performance.now() - startMs).toBeLessThan(4000);
  await expectReceived([path]);
});

test('an attempt ends in time, however often garbage is collected', async () => {
  const ended = post('/hangs', { timeoutMs: 1000 });
  expect(await whileCollecting(20_000, ended)).toEqual({ result: 'failed', reason: 'timeout' });
});

test('an endless body is left after the timeout, however often garbage is collected', async () => {
  expect(await post('/closed', { timeoutMs: 1000 })).toMatchObject({ result: 'delivered' });
  const seen = eventually('the end', () => received.length === 2, 20_000);
  await whileCollecting(25_000, seen);
  await expectReceived(['/closed', 'closed']);
});

test.each(['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1'])(
  'no request reaches %s unless its network is allowed',
  async (host) => {
    const refused = { result: 'failed', reason: 'refused_target' };
    expect(await post('/ok', { host, allowed: new BlockList() })).toEqual(refused);
    // What comes after it shows that nothing came before.
    await post('/ok');
    await expectReceived(['/ok']);
  },
);

test.each([
  ...['10.1.2.3', '172.31.0.1', '192.168.1.1', '100.64.0.1', '169.254.169.254', '0.0.0.0'],
  ...['::1', '::', 'fe80::1', 'fc00::1', 'fd00:ec2::254', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe'],
  ...['64:ff9b::a9fe:a9fe', '64:ff9b:1::1', '2002:a00:1::', '2001::1', '224.0.0.1', 'ff02::1'],
])('%s is refused', (address) => {
  expect(isAllowedTarget(address, new BlockList())).toBe(false);
});

test.each(['93.184.216.34', '2606:4700:4700::1111'])('%s is allowed', (address) => {
  expect(isAllowedTarget(address, new BlockList())).toBe(true);
});
