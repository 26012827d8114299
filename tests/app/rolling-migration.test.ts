import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { mongo as driver } from 'mongoose';
import { type Load, startLoad } from '../../faults/load';
import { summarise } from '../../faults/summary';
import { createAdmin, prepareDatabase } from '../../src/app/prepare';
import { parseConfig } from '../../src/kernel/config/config';
import { openUserRepository } from '../../src/modules/users';
import { userMigrations } from '../../src/modules/users/migrations';
import { searchFields, searchKeysOf } from '../../src/modules/users/search/search-keys';
import { connectDatabase, type Database } from '../../src/platform/mongo/connection';
import { runMigrations } from '../../src/platform/mongo/migrations/run';
import { createLogger } from '../../src/platform/telemetry/logger';
import { createClient, login } from '../support/http';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { oldUser } from '../support/old-users';
import { root, type ServiceProcess, startService, until } from '../support/service';

/**
 * The version before, made of this build: it has no migrations, inserts users without
 * `emailVerified`, and knows no keys of the search: a new name is its `nameKey` alone. A checkout has no build of an earlier version; so old documents are written by
 * real workers, and a rolling reload replaces them by those of this version.
 */
const USERS = 'src/modules/users';
const OLD = [
  { file: `${USERS}/new-document.js`, from: 'emailVerified: is.emailVerified === true,', to: '' },
  {
    file: `${USERS}/new-document.js`,
    from: '...(0, search_keys_1.searchFields)(name, email),',
    to: '',
  },
  {
    file: `${USERS}/write-commands.js`,
    from: '(0, search_keys_1.searchFields)(name ?? seen.name, email ?? seen.email)',
    to: '{}',
  },
  {
    file: `${USERS}/migrations.js`,
    from: /exports\.userMigrations = \[[\s\S]*\];/,
    to: 'exports.userMigrations = [];',
  },
  {
    file: `${USERS}/model.js`,
    from: 'emailVerified: { type: Boolean, required: true },',
    to: 'emailVerified: { type: Boolean },',
  },
] as const;
const built = (file: string) => path.join(root, 'dist', file);

const log = createLogger({ level: 'silent' });
const SEEDED = 3000;
let dir: string;
let mongo: TestMongo;
let database: Database;
let service: ServiceProcess;
let adminToken: string;
let load: Load | undefined;
const admin = { name: 'Test Admin', email: 'admin@example.org', password: 'admin of the tests' };
const seeded = Array.from({ length: SEEDED }, (_, n) =>
  oldUser(n, {
    ...(n % 2 === 0 ? { verifiedEmailKey: `old${n}@example.org` } : {}),
    // Migrated already, so a name that the version before writes leaves stale keys.
    ...(n % 3 === 0 ? searchFields(`Old ${n}`, `old${n}@example.org`) : {}),
  }),
);
const hasStaleKeys = ({ name, email, searchKeys }: driver.Document) =>
  searchKeysOf(name, email).join('\n') !== searchKeys?.join('\n');
const users = () => database.connection.collection<driver.Document>('users');

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'rolling-'));
  cpSync(built('src'), path.join(dir, 'dist', 'src'), { recursive: true });
  cpSync(path.join(root, 'package.json'), path.join(dir, 'package.json'));
  cpSync(path.join(root, 'templates'), path.join(dir, 'templates'), { recursive: true });
  symlinkSync(path.join(root, 'node_modules'), path.join(dir, 'node_modules'));
  for (const { file, from, to } of OLD) {
    const copy = path.join(dir, 'dist', file);
    const text = readFileSync(copy, 'utf8');
    const old = text.replace(from, to);
    if (old === text) throw new Error(`${file} has no ${from}`);
    writeFileSync(copy, old);
  }
  mongo = await startTestMongo();
  const environment = {
    ...{ NODE_ENV: 'test', MONGODB_URI: mongo.uri, WORKERS: '2', BCRYPT_COST: '4' },
    ...{ RATE_LIMIT: 'false', ACCESS_LOG: 'false', DB_OPERATION_TIMEOUT_MS: '4500' },
    ...{ ADMISSION_IN_FLIGHT_MAX: '100000', ADMISSION_LOOP_BUDGET_MS: '60000' },
    ...{ WORKER_STALL_MS: '60000', HASH_QUEUE_MAX: '10000' },
    KEY_ENCRYPTION_SECRET: 'Wq4Lx8Rn2Tc6'.repeat(4),
  };
  const config = parseConfig(environment);
  await prepareDatabase(mongo.uri, config, log, { embedded: false });
  database = await connectDatabase(mongo.uri, config.database, log);
  // Prepared by this version: the version before knows no migrations.
  await database.connection.collection('migrations').deleteMany({});
  const repository = openUserRepository(database.connection, { timeoutMs: 5000 });
  await createAdmin(repository, config, admin, Date.now());
  await users().insertMany(seeded as never);
  const entry = path.join(dir, 'dist', 'src', 'main.js');
  service = await startService({ entry, env: environment, timeoutMs: 60_000 });
  adminToken = await login(createClient(service.url), admin.email, admin.password);
});
afterAll(async () => {
  await load?.stop();
  await service?.close();
  await database?.close();
  await mongo?.close();
  rmSync(dir, { recursive: true, force: true });
});

const plan = (n: number) => {
  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
  const at = `/api/users/${seeded[(n * 7) % SEEDED]?.['_id']}`;
  if (n % 4 === 0) {
    const body = JSON.stringify({
      name: 'New',
      email: 'new{n}@example.org',
      password: 'a password of {n}',
    });
    return { method: 'POST', path: '/api/auth/register', headers, body, tag: 'register' };
  }
  if (n % 4 === 1)
    return { method: 'PATCH', path: at, headers, body: '{"name":"Renamed {n}"}', tag: 'patch' };
  return { method: 'GET', path: at, headers, tag: 'read' };
};

test('a rolling reload to the version with migrations, under writes of both forms, fails no request', async () => {
  load = startLoad({
    targets: [service.url],
    ratePerSecond: 20,
    connections: 20,
    request: plan,
  });
  const registered = () => users().countDocuments({ email: { $regex: '^new' } });
  await until('users written by the version before', async () => (await registered()) > 20);
  expect(await users().countDocuments({ email: /^new/, emailVerified: { $exists: true } })).toBe(0);
  expect(await database.connection.collection('migrations').countDocuments({})).toBe(0);
  await until('keys made stale by the version before', async () => {
    const renamed = { name: /^Renamed/, searchKeys: { $exists: true } };
    return (await users().find(renamed).toArray()).filter(hasStaleKeys).length > 3;
  });

  for (const { file } of OLD) cpSync(built(file), path.join(dir, 'dist', file));
  const before = service.workerPids();
  service.signal('SIGHUP');
  await service.waitForLog('rolling reload finished');
  const after = Date.now();
  await until(
    'users written by this version',
    async () =>
      (await users().countDocuments({ email: /^new/, createdAt: { $gt: new Date(after) } })) > 10,
  );
  const records = await load.stop();
  const summary = summarise(records);
  expect(summary.others).toEqual({ 201: expect.any(Number) });
  expect(summary.failed).toBe(0);
  expect(service.workerPids().some((pid) => before.includes(pid))).toBe(false);

  // The start has migrated; what the old workers wrote after that is met by a sweep.
  // What the start had no time for, a worker does later.
  await until(
    'the end of the migrations',
    async () => {
      const states = await database.connection.collection('migrations').find({}).toArray();
      return (
        states.length === userMigrations.length && states.every(({ state }) => state === 'done')
      );
    },
    150_000,
  );
  await runMigrations(database.connection, userMigrations, { log, sweepAfterMs: 0 });
  expect(await users().countDocuments({ emailVerified: { $exists: false } })).toBe(0);
  expect(await users().countDocuments({ verifiedEmailKey: { $exists: true } })).toBe(0);
  expect((await users().find().toArray()).filter(hasStaleKeys)).toEqual([]);
  const created = summarise(records, ({ tag }) => tag === 'register').good;
  expect(await registered()).toBe(created);
  const kept = await users().find({ email: /^old/ }).toArray();
  expect(kept).toHaveLength(SEEDED);
  expect(
    kept.filter(
      ({ email, emailVerified }) => emailVerified !== (Number(/\d+/.exec(email)?.[0]) % 2 === 0),
    ),
  ).toEqual([]);
  expect(kept.filter(({ name }) => /^Renamed/.test(name)).length).toBeGreaterThan(10);
}, 300_000);
