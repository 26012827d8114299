import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOps } from '../../../src/runtime/metrics/ops-server';
import { createHistory } from '../../../src/runtime/ops/history';

let dir: string;
let ops: Awaited<ReturnType<typeof startOps>>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ops-'));
  const recent = { lines: () => [], listen: () => () => {} };
  ops = await startOps({
    ...{ host: '127.0.0.1', port: 0, names: ['Ops.example'], runtimeDir: dir },
    page: { environment: 'test', recent },
  });
});
afterAll(async () => {
  await ops.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Seen {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: string;
}
/** Not `fetch`: these are all headers that are sent. The events are read to their first byte. */
const ask = (path: string, headers: Record<string, string>): Promise<Seen> =>
  new Promise((resolve, reject) => {
    const request = get(
      { host: '127.0.0.1', port: ops.address.port, path, headers, agent: false },
      async (response) => {
        let body = '';
        for await (const part of response.setEncoding('utf8')) {
          body += part;
          if (path === '/ops/events') break;
        }
        resolve({ status: response.statusCode, type: response.headers['content-type'], body });
      },
    ).on('error', reject);
    request.setTimeout(5000, () => request.destroy(new Error('no answer')));
  });

const BROWSER = { 'Accept-Language': 'en' };
const PAGE = ['/', '/ops/ops.js', '/ops/events'];

test.each([
  ['127.0.0.1:9464'],
  ['[::1]:9464'],
  ['localhost:9464'],
  ['LOCALHOST.'],
  ['ops.example'],
])('a browser may open the port as %s', async (host) => {
  const headers = { ...BROWSER, Host: host, 'Sec-Fetch-Site': 'same-origin' };
  for (const path of [...PAGE, '/metrics'])
    expect([path, (await ask(path, headers)).status]).toEqual([path, 200]);
});

test.each(['evil.example:9464', '127.0.0.1.evil.example', 'localhost.evil.example', 'a:b:c'])(
  'a name that resolves to this host reads nothing: %j',
  async (host) => {
    for (const path of [...PAGE, '/metrics', '/nothing', '/ops/act']) {
      const { status, type, body } = await ask(path, { ...BROWSER, Host: host });
      expect([path, status, type]).toEqual([path, 403, 'application/problem+json']);
      expect(JSON.parse(body)).toMatchObject({ status: 403, code: 'forbidden' });
    }
    // Not even by a client that is no browser.
    for (const path of PAGE) expect((await ask(path, { Host: host })).status).toBe(403);
  },
);

test.each<[string, Record<string, string>]>([
  ['another site', { 'Sec-Fetch-Site': 'cross-site' }],
  ['another port or name of this site', { 'Sec-Fetch-Site': 'same-site' }],
  ['another origin, over HTTP to an address', { Origin: 'http://evil.example' }],
  ['another port of localhost', { Origin: 'http://localhost:3000' }],
  ['a page without an origin', { Origin: 'null' }],
])('a page of %s reads and asks for nothing', async (_whose, headers) => {
  for (const path of [...PAGE, '/metrics', '/ops/act'])
    expect([path, (await ask(path, { Host: 'localhost:9464', ...headers })).status]).toEqual([
      path,
      403,
    ]);
});

test('a link of another site opens the page, and nothing else', async () => {
  const link = {
    ...{ Host: 'localhost:9464', 'Sec-Fetch-Site': 'cross-site' },
    ...{ 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' },
  };
  expect((await ask('/', link)).status).toBe(200);
  expect((await ask('/', { ...link, 'Sec-Fetch-Dest': 'iframe' })).status).toBe(403);
  expect((await ask('/ops/events', link)).status).toBe(403);
  expect((await ask('/metrics', link)).status).toBe(403);
});

test('a proxy may change Host, and a scrape may use any name', async () => {
  const proxied = { Host: '127.0.0.1:9464', Origin: 'https://ops.example' };
  expect((await ask('/', proxied)).status).toBe(200);
  expect((await ask('/metrics', { Host: 'api.auth.svc:9464' })).status).toBe(200);
});

test('pages that are opened and closed again and again cost no more samples', async () => {
  let atMs = 1_000_000;
  let samples = 0;
  jest.useFakeTimers({ doNotFake: ['performance'] });
  const history = createHistory({
    collect: async () => {
      samples += 1;
      return [];
    },
    onPoint: () => {},
    always: true,
    now: () => atMs,
  });
  const pass = async (ms: number) => {
    atMs += ms;
    await jest.advanceTimersByTimeAsync(ms);
  };
  try {
    await pass(0);
    for (let second = 0; second < 60; second += 1) {
      history.watch(true);
      await pass(500);
      history.watch(false);
      await pass(500);
    }
    // Every 5 s at most, and not put off by those who come and go.
    expect(samples).toBeGreaterThanOrEqual(4);
    expect(samples).toBeLessThanOrEqual(13);
  } finally {
    history.close();
    jest.useRealTimers();
  }
});
