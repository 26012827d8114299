import { parseConfig } from '../../../../src/kernel/config/config';
import { DecryptionError } from '../../../../src/kernel/crypto/encryption';
import { createKeyReaders } from '../../../../src/modules/auth/keys/key-readers';
import { connectKeyRing } from '../../../../src/modules/auth/keys/keyring';
import { createKeyStore } from '../../../../src/modules/auth/keys/keystore';
import { askDatabaseTime } from '../../../../src/platform/mongo/clock';
import { connectDatabase, type Database } from '../../../../src/platform/mongo/connection';
import { createLogger } from '../../../../src/platform/telemetry/logger';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const SECRET = 'x7'.repeat(20);
const RULES = { rotationSeconds: 1000, leadSeconds: 100, retireSeconds: 50 };
const log = createLogger({ level: 'silent' });
let mongo: TestMongo;
let databases: Database[];

beforeAll(async () => {
  mongo = await startTestMongo();
  const settings = parseConfig({ NODE_ENV: 'test' }).database;
  databases = await Promise.all([1, 2, 3].map(() => connectDatabase(mongo.uri, settings, log)));
});
afterAll(async () => {
  await Promise.all((databases ?? []).map((database) => database.close()));
  await mongo?.close();
});
beforeEach(async () => {
  await databases[0]?.connection.collection('signing_keys').deleteMany({});
});

const open = (
  database: Database,
  secret = SECRET,
  algorithm: 'ES256' | 'EdDSA' | 'RS256' = 'ES256',
) =>
  connectKeyRing({
    ...{
      store: createKeyStore(database.connection, secret),
      readers: createKeyReaders(database.connection),
    },
    ...{ algorithm, rules: RULES, pollMs: 3_600_000, log, now: Date.now },
  });

test("hosts that start at the same time agree on one key and accept each other's tokens", async () => {
  const rings = await Promise.all(
    databases.flatMap((database) => [open(database), open(database)]),
  );
  const kids = new Set(rings.map((ring) => ring.signing().kid));
  expect(kids.size).toBe(1);
  const [kid] = kids;
  for (const ring of rings) expect(ring.find(kid as string)).toBeDefined();
  expect(await databases[0]?.connection.collection('signing_keys').countDocuments()).toBe(1);
  await Promise.all(rings.map((ring) => ring.close()));
});

test("key readers are registered by the database's clock until they leave", async () => {
  const [one, two] = databases as [Database, Database];
  const readers = createKeyReaders(two.connection);
  const ring = await open(one);
  expect(await readers.list()).toEqual([
    expect.objectContaining({ lowest: 1, highest: 1, pid: process.pid }),
  ]);
  const freshUntil = (await readers.list())[0]?.freshUntil.getTime() ?? 0;
  expect(Math.abs(freshUntil - (await askDatabaseTime(one.connection)) - 36_000_000)).toBeLessThan(
    20_000,
  );
  const brief = createKeyReaders(two.connection);
  await brief.report({ lowest: 1, highest: 1, highestFrom: new Date(0) }, 0);
  expect(await readers.list()).toHaveLength(1);
  await ring.close();
  expect(await readers.list()).toEqual([]);
});

test('the rules of the time of a key are stored with it', async () => {
  const [database] = databases as [Database];
  const store = createKeyStore(database.connection, SECRET);
  const ring = await open(database);
  expect((await store.list())[0]?.held).toEqual({ leadSeconds: 100, retireSeconds: 50 });
  await store.hold({ leadSeconds: 10, retireSeconds: 900 });
  expect((await store.list())[0]?.held).toEqual({ leadSeconds: 100, retireSeconds: 900 });
  await ring.close();
});

test.each(['ES256', 'EdDSA', 'RS256'] as const)(
  'an %s key is the same after a restart',
  async (algorithm) => {
    const [database] = databases as [Database];
    const before = await open(database, SECRET, algorithm);
    await before.close();
    const after = await open(database, SECRET, algorithm);
    expect(after.signing().kid).toBe(before.signing().kid);
    expect(after.jwks()).toEqual(before.jwks());
    await after.close();
  },
);

test('private keys are stored encrypted only, and another secret does not decrypt them', async () => {
  const [database] = databases as [Database];
  const ring = await open(database);
  const { d } = ring.signing().key.export({ format: 'jwk' });
  const secret = Buffer.from(d as string, 'base64url');
  const [row] = await database.connection
    .collection('signing_keys')
    .find({}, { promoteBuffers: true })
    .toArray();
  const bytes = Buffer.concat(Object.values(row?.['sealed'] as Record<string, Buffer>));
  expect(bytes.length).toBeGreaterThan(100);
  expect(bytes.includes(secret)).toBe(false);
  const text = JSON.stringify({ ...row, sealed: undefined });
  for (const form of ['base64', 'base64url', 'hex'] as const)
    expect(text).not.toContain(secret.toString(form));
  await expect(open(database, 'y8'.repeat(20))).rejects.toThrow(DecryptionError);
  await ring.close();
});

test('a key that was moved to another generation or algorithm is refused', async () => {
  const [database] = databases as [Database];
  await (await open(database)).close();
  const rows = database.connection.collection('signing_keys');
  const [row] = await rows.find().toArray();
  await rows.deleteMany({});
  await rows.insertOne({ ...row, _id: 2 as never });
  await expect(open(database)).rejects.toThrow(DecryptionError);
});
