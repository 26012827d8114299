import { createServer, request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { startChaos, withStaging } from '../support/chaos';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { freePort, root, type ServiceProcess, until } from '../support/service';

const entry = join(root, 'dist', 'main.js');

let mongo: TestMongo;
beforeAll(async () => {
  mongo = await startTestMongo();
}, 120_000);
afterAll(() => mongo?.close());

const rowOf = (text: string, scenario: string): string =>
  text.split('\n').findLast((line) => line.startsWith(`${scenario} `)) ?? '';

/** A busy machine refuses requests (503), which is no lost write and no stale read. */
const lostAndStale = (text: string, scenario: string) =>
  rowOf(text, scenario).split(/ {2,}/).slice(6, 8);

test('it refuses without the flag, and a target that is production', async () => {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"servers":[{"url":"/","description":"Production."}]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const target = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const plain = await startChaos('--target', target).ended;
    expect(plain.code).toBe(64);
    expect(plain.text).toContain('--i-own-this-staging');
    const refused = await startChaos('--target', target, '--i-own-this-staging').ended;
    expect(refused).toMatchObject({ code: 69 });
    expect(refused.text).toContain('is production');
  } finally {
    server.close();
  }
}, 120_000);

const withService = (
  env: Readonly<Record<string, string>>,
  use: (service: ServiceProcess) => Promise<void>,
  program?: string,
) => withStaging({ MONGODB_URI: mongo.uri, ...env }, use, program);

test('a real cluster keeps the promises while workers die and its database goes away', async () => {
  const [port, proxyPort] = [await freePort(), await freePort()];
  const uri = mongo.uri.replace(/^mongodb:\/\/[^/?]+/, `mongodb://127.0.0.1:${proxyPort}`);
  const target = `http://127.0.0.1:${port}`;
  const common = ['--target', target, '--i-own-this-staging', '--quick', '--rate', '5'];
  const proxied = ['--proxy-mongodb', mongo.uri, '--proxy-port', String(proxyPort)];
  const away = startChaos(...common, ...proxied, '--only', 'reload,database-away');
  await until('the proxy', () => away.text().includes('a proxy to the database'), 30_000);
  await withService({ PORT: String(port), MONGODB_URI: uri }, async (service) => {
    const { code, text } = await away.ended;
    expect([code, text]).toEqual([0, expect.anything()]);
    expect(rowOf(text, 'reload')).toMatch(/needs --ops +not run$/);
    expect(rowOf(text, 'database-away')).toMatch(/ yes$/);
    expect(lostAndStale(text, 'database-away')).toEqual(['0', '0']);
    expect(service.workerPids()).toHaveLength(2);
  });
  await withService(
    { PORT: String(port) },
    async (service) => {
      const before = service.workerPids();
      const pid = ['--primary-pid', String(service.pid)];
      // A proxy that the service does not use disturbs nothing, which must not pass for a promise kept.
      const only = ['--only', 'kill-worker,database-slow'];
      const { text } = await startChaos(...common, ...pid, ...proxied, ...only).ended;
      expect(text).toContain('the target does not use the proxy');
      expect(rowOf(text, 'database-slow')).toMatch(/ NO$/);
      expect(text).not.toContain('none was killed');
      expect([lostAndStale(text, 'kill-worker'), text]).toEqual([['0', '0'], expect.anything()]);
      expect(before.filter((one) => service.workerPids().includes(one)).length).toBeLessThan(2);
      // By a relative path, as `npm start` names it.
    },
    relative(join(tmpdir(), 'service'), entry),
  );
}, 300_000);

test('it finds a write that was acknowledged and lost', async () => {
  await withService({}, async (service) => {
    const losing = await startLosingProxy(service.port);
    try {
      const { code, text } = await startChaos(
        ...['--target', losing.url, '--i-own-this-staging', '--quick', '--only', 'quiet'],
      ).ended;
      expect([code, text]).toEqual([1, expect.anything()]);
      expect(rowOf(text, 'quiet')).toMatch(/ NO$/);
      expect(Number(lostAndStale(text, 'quiet')[0])).toBeGreaterThan(0);
    } finally {
      losing.close();
    }
  });
}, 240_000);

/** Forwards all requests but the later writes, which it acknowledges and drops. */
async function startLosingProxy(port: number) {
  let writes = 0;
  const server = createServer((request, response) => {
    if (request.method === 'PATCH') writes += 1;
    if (request.method === 'PATCH' && writes > 20) {
      request.resume();
      response.setHeader('content-type', 'application/json');
      response.end('{}');
      return;
    }
    const { method, url, headers } = request;
    const forwarded = sendRequest(
      { host: '127.0.0.1', port, method, path: url, headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    forwarded.on('error', () => response.destroy());
    request.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
