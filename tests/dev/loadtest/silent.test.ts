import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mongoose';
import { seedUsers } from '../../../dev/loadtest/data/seed';
import { parseConfig } from '../../../src/kernel/config/config';
import { startLoadtest } from '../../support/loadtest';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { root, type ServiceProcess, startService, until } from '../../support/service';

const SETTINGS = {
  ...{ NODE_ENV: 'test', BCRYPT_COST: '4', RATE_LIMIT: 'false' },
  ...{ PUBLIC_URL: 'http://localhost:3000', JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ' },
};

const folder = mkdtempSync(join(tmpdir(), 'loadtest-'));
let mongo: TestMongo;
let service: ServiceProcess;
let connection: Connection;
beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startService({
    entry: join(root, 'dist', 'main.js'),
    env: { ...SETTINGS, WORKERS: '1', MONGODB_URI: mongo.uri },
    timeoutMs: 60_000,
  });
  connection = await createConnection(mongo.uri).asPromise();
  await seedUsers(connection, parseConfig({ ...SETTINGS, MONGODB_URI: mongo.uri }), 200);
}, 120_000);
afterAll(async () => {
  await connection?.close();
  await service?.close();
  await mongo?.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = (...argv: string[]) =>
  startLoadtest(folder, argv, { ...SETTINGS, MONGODB_URI: mongo.uri });

describe('a target that stops answering', () => {
  const stopped = () => [service.pid, ...service.workerPids()];
  const signalAll = (signal: NodeJS.Signals) => {
    for (const pid of stopped()) process.kill(pid, signal);
  };
  afterEach(() => signalAll('SIGCONT'));

  // Of the open loop, what was due in eight of ten seconds; of the closed one, each connection.
  test.each([
    ['--rate', '50', 400],
    ['--connections', '8', 8],
  ])(
    'ends a load with %s %s, and its requests have failed',
    async (loop, value, failed) => {
      const { child, ended, text } = start(
        ...['--target', service.url, '--processes', '1', '--duration-seconds', '60', loop, value],
      );
      await until('answers', () => /answers\/s/.test(text.progress));
      signalAll('SIGSTOP');
      const { code, out } = await ended;
      expect([code, out]).toEqual([1, expect.stringContaining('stopped answering')]);
      const errors = Number(/ ([\d,]+) errors$/m.exec(out)?.[1]?.replaceAll(',', ''));
      expect(errors).toBeGreaterThanOrEqual(failed);
      expect(child.signalCode).toBeNull();
    },
    90_000,
  );
});
