import { createServer, type IncomingMessage, request as sendRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { createConnection } from 'mongoose';
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
    expect([code, text]).toEqual([1, expect.stringContaining('not run: reload needs --ops')]);
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

/** Users of the command that are in the database. */
async function usersLeft(): Promise<number> {
  const connection = await createConnection(mongo.uri).asPromise();
  try {
    return await connection.collection('users').countDocuments({ email: /^chaos-/ });
  } finally {
    await connection.close();
  }
}

test('Ctrl-C while the database is away restores it, and then removes the users', async () => {
  const [port, proxyPort] = [await freePort(), await freePort()];
  const uri = mongo.uri.replace(/^mongodb:\/\/[^/?]+/, `mongodb://127.0.0.1:${proxyPort}`);
  const target = `http://127.0.0.1:${port}`;
  const chaos = startChaos(
    ...['--target', target, '--i-own-this-staging', '--rate', '5', '--only', 'database-away'],
    ...['--proxy-mongodb', mongo.uri, '--proxy-port', String(proxyPort)],
  );
  await until('the proxy', () => chaos.text().includes('a proxy to the database'), 30_000);
  await withService({ PORT: String(port), MONGODB_URI: uri }, async () => {
    await until('the scenario', () => chaos.text().includes('database-away:'), 90_000);
    expect(await usersLeft()).toBe(10);
    const isAway = async () => (await fetch(`${target}/readyz`)).status === 503;
    await until('the database to be away', isAway, 30_000);
    // As under npm, which forwards what the terminal has sent already.
    for (let n = 0; n < 2; n += 1) chaos.signal('SIGINT');
    const { code, text } = await chaos.ended;
    expect([code, text]).toEqual([130, expect.stringContaining('restoring the target')]);
    expect([await usersLeft(), text]).toEqual([0, expect.not.stringContaining('are left')]);
  });
}, 240_000);

test('a user that cannot be removed with its first token is, and one that cannot is named', async () => {
  await withService({}, async (service) => {
    const refused = new Set<string>();
    const isFirst = ({ method, headers: { authorization = '' } }: IncomingMessage) => {
      const isRefused = method === 'DELETE' && refused.size < 10 && !refused.has(authorization);
      if (isRefused) refused.add(authorization);
      return isRefused ? 401 : undefined;
    };
    const isDelete = ({ method }: IncomingMessage) => (method === 'DELETE' ? 503 : undefined);
    const args = ['--i-own-this-staging', '--quick', '--rate', '5', '--only', 'quiet'];
    const tooOld = await startProxy(service.port, isFirst);
    const never = await startProxy(service.port, isDelete);
    try {
      const { text } = await startChaos('--target', tooOld.url, ...args).ended;
      expect([await usersLeft(), refused.size, text]).toEqual([0, 10, expect.anything()]);
      expect(text).not.toContain('are left');
      const failed = await startChaos('--target', never.url, ...args).ended;
      expect(failed.code).toBe(1);
      const named = failed.text.match(/chaos-\d+@example\.org/g);
      expect([named?.length, await usersLeft()]).toEqual([10, 10]);
    } finally {
      tooOld.close();
      never.close();
    }
  });
}, 240_000);

/** Forwards all requests but the later writes, which it acknowledges and drops. */
function startLosingProxy(port: number) {
  let writes = 0;
  return startProxy(port, (request) => {
    if (request.method !== 'PATCH') return undefined;
    writes += 1;
    return writes > 20 ? 200 : undefined;
  });
}

/** Answers with the status that `own` says, and forwards the requests of which it says nothing. */
async function startProxy(port: number, own: (request: IncomingMessage) => number | undefined) {
  const server = createServer((request, response) => {
    const status = own(request);
    if (status !== undefined) {
      request.resume();
      response.writeHead(status, { 'content-type': 'application/json' });
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
