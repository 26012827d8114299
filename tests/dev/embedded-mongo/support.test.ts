import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mongoose';
import { createClient } from 'redis';
import { processExists, startedAt } from '../../../dev/embedded-mongo/system';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { describeWithRedis, startTestRedis } from '../../support/redis';

const FIRST_START_MS = 120_000;
const isGone = (pid: number) => !processExists(pid) || startedAt(pid) === '';

async function until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition}`);
    await sleep(10);
  }
}

async function databaseNames(uri: string): Promise<string[]> {
  const connection = await createConnection(uri).asPromise();
  const { databases } = await connection.listDatabases();
  await connection.close();
  return databases.map(({ name }) => name);
}

async function writeOne(uri: string): Promise<string> {
  const connection = await createConnection(uri).asPromise();
  await connection.collection('things').insertOne({ name: 'one' });
  const { name } = connection;
  await connection.close();
  return name;
}

describe('databases for tests', () => {
  const before = process.env['MONGODB_URI'];
  let server: TestMongo;
  beforeEach(async () => {
    delete process.env['MONGODB_URI'];
    server = await startTestMongo();
  }, FIRST_START_MS);
  afterEach(async () => {
    await server.close();
    if (before === undefined) delete process.env['MONGODB_URI'];
    else process.env['MONGODB_URI'] = before;
  });

  it('are separate engines without MONGODB_URI', async () => {
    const other = await startTestMongo();
    try {
      expect(other.uri).not.toBe(server.uri);
      await writeOne(server.uri);
      expect(await databaseNames(other.uri)).not.toContain('auth');
    } finally {
      await other.close();
    }
    const folder = path.dirname(decodeURIComponent(/\/\/([^/]+)/.exec(other.uri)?.[1] ?? ''));
    expect(existsSync(path.dirname(folder))).toBe(false);
  });

  it('are separate databases on the server of MONGODB_URI, dropped at the end', async () => {
    process.env['MONGODB_URI'] = server.uri;
    const [one, two] = await Promise.all([startTestMongo(), startTestMongo()]);
    const names = await Promise.all([writeOne(one.uri), writeOne(two.uri)]);
    expect(new Set([...names, 'auth']).size).toBe(3);
    expect(await databaseNames(server.uri)).toEqual(expect.arrayContaining(names));
    await Promise.all([one.close(), two.close()]);
    const left = await databaseNames(server.uri);
    expect(names.filter((name) => left.includes(name))).toEqual([]);
  });
});

describeWithRedis('Redis for tests', () => {
  it('can be killed and restarted empty on the same port', async () => {
    const redis = await startTestRedis();
    try {
      const first = redis.pid;
      const client = createClient({ url: redis.url, socket: { reconnectStrategy: 20 } }).on(
        'error',
        () => undefined,
      );
      await client.connect();
      await client.set('key', 'value');
      await redis.kill('SIGKILL');
      expect(isGone(first)).toBe(true);
      await redis.restart();
      expect(redis.pid).not.toBe(first);
      expect(await client.get('key')).toBeNull();
      client.destroy();
    } finally {
      await redis.close();
    }
    expect(isGone(redis.pid)).toBe(true);
  });

  it('exits when the tests are killed', async () => {
    const support = path.join(__dirname, '../../support/redis.js');
    const script = `require(${JSON.stringify(support)}).startTestRedis().then((redis) => console.log(redis.pid))`;
    const tests = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [output] = (await once(tests.stdout, 'data')) as [Buffer];
    const pid = Number(output.toString());
    expect(isGone(pid)).toBe(false);
    tests.kill('SIGKILL');
    await until(() => isGone(pid));
  });

  it('reports invalid arguments', async () => {
    await expect(startTestRedis(['--no-such-option', 'x'])).rejects.toThrow(/no-such-option/);
  });
});
