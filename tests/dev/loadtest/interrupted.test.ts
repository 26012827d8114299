import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, createConnection } from 'mongoose';
import { startLoadtest } from '../../support/loadtest';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { until } from '../../support/service';

const SETTINGS = {
  ...{ NODE_ENV: 'test', BCRYPT_COST: '4', PUBLIC_URL: 'http://localhost:3000' },
  JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
};

const folder = mkdtempSync(join(tmpdir(), 'loadtest-'));
let mongo: TestMongo;
let connection: Connection;
beforeAll(async () => {
  mongo = await startTestMongo();
  connection = await createConnection(mongo.uri).asPromise();
}, 120_000);
afterAll(async () => {
  await connection?.close();
  await mongo?.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = (...argv: string[]) =>
  startLoadtest(folder, argv, { ...SETTINGS, MONGODB_URI: mongo.uri });

test('Ctrl-C during a large seed leaves the indexes that lists of users name', async () => {
  const indexes = async () => {
    const found = await connection.collection('users').listIndexes().toArray();
    return found.map(({ name }) => String(name)).sort();
  };
  // It makes the indexes, as the start of a service does.
  expect(await start('seed', '--users', '200').ended).toMatchObject({ code: 0 });
  const before = await indexes();
  const { child, ended, text } = start('seed', '--users', '400000');
  await until('the indexes to go', () => text.out.includes('built at the end'));
  expect((await indexes()).length).toBeLessThan(before.length);
  // As under npm, which forwards what the terminal has sent already.
  for (let n = 0; n < 2; n += 1) child.kill('SIGINT');
  const { code, out } = await ended;
  expect([code, out]).toEqual([130, expect.stringContaining('Interrupted')]);
  expect(await indexes()).toEqual(before);
  // The next one goes on.
  expect(await start('seed', '--remove').ended).toMatchObject({ code: 0 });
}, 240_000);
