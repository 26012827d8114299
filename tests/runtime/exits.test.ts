import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createConnection } from 'mongoose';
import { exitCodeOf, exitCodes } from '../../src/runtime/exit-codes';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { run } from '../support/processes';
import { freePort, root, type ServiceProcess, startService, until } from '../support/service';

const entry = path.join(root, 'dist', 'main.js');
const fixture = path.join(root, 'dist', 'tests', 'runtime', 'fixtures', 'service.js');
const SECRET = 'Wq4Lx8Rn2Tc6Yb1Vd5Kz9Hp3Js7Gm0Qf';
let mongo: TestMongo;
let running: ServiceProcess[] = [];
beforeAll(async () => {
  mongo = await startTestMongo();
});
afterEach(async () => {
  await Promise.all(running.map((service) => service.close()));
  running = [];
});
afterAll(() => mongo.close());

const start = async (
  env: Record<string, string>,
  options: { failing?: boolean; entry?: string } = {},
) => {
  const own = {
    MONGODB_URI: mongo.uri,
    KEY_ENCRYPTION_SECRET: SECRET,
    BCRYPT_COST: '4',
    DRAIN_IDLE_MS: '100',
    WORKERS: '1',
  };
  const service = await startService({
    entry: options.entry ?? entry,
    env: { ...own, ...env },
    failing: options.failing ?? true,
    timeoutMs: 60_000,
  });
  running.push(service);
  return service;
};
const databaseOf = (name: string) => mongo.uri.replace(/\/[^/?]*\?/, `/${name}?`);
async function inDatabase<T>(
  uri: string,
  work: (connection: ReturnType<typeof createConnection>) => Promise<T>,
): Promise<T> {
  const connection = await createConnection(uri).asPromise();
  try {
    return await work(connection);
  } finally {
    await connection.close();
  }
}

test('exits with 65 when an index cannot be created on the existing data', async () => {
  const duplicates = databaseOf('duplicates');
  await inDatabase(duplicates, (connection) =>
    connection.collection('users').insertMany([{ emailKey: 'a' }, { emailKey: 'a' }]),
  );
  const changed = databaseOf('changed');
  await inDatabase(changed, (connection) =>
    connection.collection('users').createIndex({ emailKey: 1 }, { name: 'email_unique' }),
  );
  for (const [uri, message] of [
    [duplicates, /duplicate key/],
    [changed, /email_unique.*Drop it with db\.users\.dropIndex/],
  ] as const) {
    const service = await start({ MONGODB_URI: uri });
    expect((await service.exited).code).toBe(exitCodes.data);
    expect(service.logs().filter(({ level }) => level === 'fatal')).toEqual([
      expect.objectContaining({
        code: 65,
        err: expect.objectContaining({ message: expect.stringMatching(message) }),
      }),
    ]);
  }
});

test('exits with 78 before any worker starts when KEY_ENCRYPTION_SECRET cannot decrypt the stored keys', async () => {
  const first = await start({}, { failing: false });
  await first.close();
  const wrong = await start({ KEY_ENCRYPTION_SECRET: 'Xb2Mv6Tq0Rz4Nc8Wk1Lf5Hj9Pd3Sg7Ye' });
  expect((await wrong.exited).code).toBe(exitCodes.config);
  expect(
    wrong
      .logs()
      .filter(({ level }) => level === 'fatal')
      .map(({ msg }) => msg),
  ).toEqual([expect.stringContaining('KEY_ENCRYPTION_SECRET is not the secret')]);
  expect(wrong.logs('worker exited unexpectedly')).toEqual([]);
});

test('exits with 78 at once for a wrong user or password, with 69 for an unreachable server, and logs why', async () => {
  const from = performance.now();
  const wrong = await start({
    MONGODB_URI: mongo.uri.replace('mongodb://', 'mongodb://nobody:canary-of-the-password@'),
  });
  expect((await wrong.exited).code).toBe(exitCodes.config);
  expect(performance.now() - from).toBeLessThan(20_000);
  expect(JSON.stringify(wrong.logs())).toContain('MONGODB_URI');
  expect(JSON.stringify(wrong.logs())).not.toContain('canary');
  const away = {
    MONGODB_URI: 'mongodb://127.0.0.1:9/x',
    DB_CONNECT_WAIT_MS: '300',
    DB_SERVER_SELECTION_TIMEOUT_MS: '200',
  };
  const unreachable = await start(away);
  expect((await unreachable.exited).code).toBe(exitCodes.unavailable);
  const [fatal] = unreachable.logs().filter(({ level }) => level === 'fatal');
  expect(fatal?.['err']).toMatchObject({
    type: expect.stringMatching(/ServerSelection/),
    servers: { '127.0.0.1:9': expect.stringContaining('ECONNREFUSED') },
  });
});

test('exits with 71 when another process takes the port between the check and the listening', async () => {
  const service = await start(
    { PORT: String(await freePort()), FIXTURE_TAKES_PORT: '1' },
    { entry: fixture },
  );
  expect((await service.exited).code).toBe(exitCodes.address);
});

test('a rolling reload checks the indexes before its first worker serves; old workers keep serving', async () => {
  const uri = databaseOf('reloaded');
  const service = await start({ MONGODB_URI: uri, WORKERS: '2' }, { failing: false });
  const before = service.workerPids();
  await inDatabase(uri, async (connection) => {
    const users = connection.collection('users');
    await users.dropIndex('email_unique');
    await users.createIndex({ emailKey: 1 }, { name: 'email_unique' });
  });
  service.signal('SIGHUP');
  await service.waitForLog(
    'rolling reload stopped: new worker not ready, old workers keep serving',
  );
  expect(service.logs('fatal error, worker exiting')).toEqual([
    expect.objectContaining({ code: exitCodes.data }),
  ]);
  expect(service.workerPids()).toEqual(before);
  expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  await inDatabase(uri, (connection) => connection.collection('users').dropIndex('email_unique'));
  service.signal('SIGHUP');
  await service.waitForLog('rolling reload finished');
  await inDatabase(uri, async (connection) => {
    expect(await connection.collection('users').indexes()).toContainEqual(
      expect.objectContaining({ name: 'email_unique', unique: true }),
    );
  });
});

test('`scale` refuses invalid counts with a reason', async () => {
  const service = await start({}, { entry: fixture, failing: false });
  const ask = (...args: string[]) => {
    const { PATH = '', HOME = '' } = process.env;
    const env = { PATH, HOME, PORT: '0', HOST: '127.0.0.1', RUNTIME_DIR: service.runtimeDir };
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [path.join(root, 'dist/cli/cluster.js'), ...args],
      {
        cwd: tmpdir(),
        env,
        encoding: 'utf8',
      },
    );
    return { status, text: stdout + stderr };
  };
  for (const [count, why] of [
    ['0', 'at least 1'],
    ['-1', 'at least 1'],
    ['-999', 'at least 1'],
    ['1000', 'at most 256'],
    ['two', 'number'],
    ['', 'number'],
  ] as const)
    expect([count, ask('scale', count)]).toEqual([
      count,
      { status: exitCodes.forced, text: expect.stringContaining(why) },
    ]);
  expect(ask('status')).toEqual({
    status: 0,
    text: expect.stringContaining('1 of 1 workers ready'),
  });
  expect(ask('drain', '9')).toEqual({
    status: exitCodes.forced,
    text: expect.stringContaining('worker 9 is not ready'),
  });
  const [before] = service.workerPids();
  expect(ask('drain', '1').status).toBe(0);
  await until('the worker to be replaced', () => {
    const [now, ...more] = service.workerPids();
    return now !== undefined && now !== before && more.length === 0;
  });
});

/** A container may run under a user id without an entry in its user database. */
(process.getuid?.() === 0 ? test : test.skip)(
  'metrics and control work for a uid without an entry in passwd (needs root)',
  async () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'uid-'));
    chmodSync(dir, 0o777);
    const [port, opsPort] = [await freePort(), await freePort()].map(String) as [string, string];
    const env = {
      PATH: process.env['PATH'] ?? '',
      PORT: port,
      OPS_PORT: opsPort,
      HOST: '127.0.0.1',
      WORKERS: '1',
      BCRYPT_COST: '4',
      TMPDIR: dir,
    };
    const ids = { uid: 54_321, gid: 54_321 };
    const service = run([process.execPath, entry], { cwd: dir, env, ...ids });
    try {
      await until(
        `metrics:\n${service.output()}`,
        async () =>
          (await fetch(`http://127.0.0.1:${opsPort}/metrics`).catch(() => undefined))?.status ===
          200,
        40_000,
      );
      const asked = spawnSync(
        process.execPath,
        [path.join(root, 'dist/cli/cluster.js'), 'status'],
        {
          cwd: dir,
          env,
          ...ids,
          encoding: 'utf8',
        },
      );
      expect(asked).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('1 of 1 workers ready'),
      });
    } finally {
      await service.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  },
  90_000,
);

test('the exit code depends on the error, also when it is a nested cause', () => {
  const error = (fields: object, cause?: unknown) =>
    Object.assign(new Error('x', { cause }), fields);
  expect(exitCodeOf(error({ code: 18 }))).toBe(exitCodes.config);
  expect(exitCodeOf(error({ name: 'MongoCompatibilityError' }))).toBe(exitCodes.config);
  expect(exitCodeOf(error({}, error({ code: 11000 })))).toBe(exitCodes.data);
  expect(exitCodeOf(error({ code: 'ENOTFOUND', syscall: 'querySrv' }))).toBe(exitCodes.unavailable);
  // Of a worker of PM2 it is `bind`.
  for (const syscall of ['listen', 'bind'])
    expect(exitCodeOf(error({ code: 'EADDRINUSE', syscall }))).toBe(exitCodes.address);
  expect(exitCodeOf(error({ name: 'MongoNetworkTimeoutError' }))).toBe(exitCodes.unavailable);
  expect(exitCodeOf('what')).toBe(exitCodes.software);
});
