import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mongoose';
import { seededCount } from '../../../dev/loadtest/data/seed';
import { startLoadtest } from '../../support/loadtest';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { root, type ServiceProcess, startService } from '../../support/service';

const JWT_SECRET = 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ';

const folder = mkdtempSync(join(tmpdir(), 'loadtest-'));
let mongo: TestMongo;
let service: ServiceProcess;
beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startService({
    entry: join(root, 'dist', 'main.js'),
    env: {
      ...{ NODE_ENV: 'production', WORKERS: '1', TRUST_PROXY: '1', JWT_SECRET },
      ...{ MONGODB_URI: mongo.uri, PUBLIC_URL: 'https://auth.example.org' },
    },
    timeoutMs: 60_000,
  });
}, 120_000);
afterAll(async () => {
  await service?.close();
  await mongo?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** As in a shell that says nothing of production. */
const run = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  startLoadtest(folder, argv, { JWT_SECRET, MONGODB_URI: mongo.uri, ...env }).ended;

async function seeded(): Promise<number> {
  const connection = await createConnection(mongo.uri).asPromise();
  try {
    return await seededCount(connection);
  } finally {
    await connection.close();
  }
}

test.each([[], ['--i-own-this-database']])(
  'the database of production is not seeded, whatever is said %j',
  async (...flags) => {
    const { code, progress } = await run(['seed', '--users', '5', ...flags]);
    expect([code, progress]).toEqual([69, expect.stringContaining('NODE_ENV=production uses')]);
    expect(await seeded()).toBe(0);
    expect(await run(['seed', '--remove', ...flags])).toMatchObject({ code: 0 });
  },
  60_000,
);

test('neither is production sent a load, with its own database or another', async () => {
  const load = ['--target', service.url, '--duration-seconds', '1'];
  expect(await run(load)).toMatchObject({ code: 69 });
  const other = await startTestMongo();
  try {
    const { code, progress } = await run(load, { MONGODB_URI: other.uri });
    expect([code, progress]).toEqual([69, expect.stringContaining('is production')]);
  } finally {
    await other.close();
  }
}, 120_000);

test('a database that is not on this machine is seeded only when it is said', async () => {
  const env = { MONGODB_URI: 'mongodb://someone:secret@db1.invalid:27017/auth' };
  const { code, progress } = await run(['seed', '--users', '5'], env);
  expect([code, progress]).toEqual([64, expect.stringContaining('--i-own-this-database')]);
  expect(progress).not.toContain('secret');
}, 60_000);
