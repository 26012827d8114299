import { connectKeyRing } from '../../src/auth/keyring';
import { createKeyStore } from '../../src/auth/keystore';
import { SealError } from '../../src/auth/sealing';
import { parseConfig } from '../../src/config';
import { connectDatabase, type Database } from '../../src/data/connection';
import { createLogger } from '../../src/observability/logger';
import { startTestMongo, type TestMongo } from '../support/mongo';

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

const open = (database: Database, secret = SECRET, algorithm: 'ES256' | 'EdDSA' | 'RS256' = 'ES256') =>
  connectKeyRing({ store: createKeyStore(database.connection, secret), algorithm, rules: RULES, pollMs: 3_600_000, log });

test('hosts that start at once agree on one key, and what one signs the others verify', async () => {
  const rings = await Promise.all(databases.flatMap((database) => [open(database), open(database)]));
  const kids = new Set(rings.map((ring) => ring.signing().kid));
  expect(kids.size).toBe(1);
  const [kid] = kids;
  for (const ring of rings) expect(ring.find(kid as string)).toBeDefined();
  expect(await databases[0]?.connection.collection('signing_keys').countDocuments()).toBe(1);
  await Promise.all(rings.map((ring) => ring.close()));
});

test.each(['ES256', 'EdDSA', 'RS256'] as const)('an %s key is the same after a restart', async (algorithm) => {
  const [database] = databases as [Database];
  const before = await open(database, SECRET, algorithm);
  await before.close();
  const after = await open(database, SECRET, algorithm);
  expect(after.signing().kid).toBe(before.signing().kid);
  expect(after.jwks()).toEqual(before.jwks());
  await after.close();
});

test('private keys are sealed: no form of them is in the database, and another secret opens nothing', async () => {
  const [database] = databases as [Database];
  const ring = await open(database);
  const { d } = ring.signing().key.export({ format: 'jwk' });
  const secret = Buffer.from(d as string, 'base64url');
  const [row] = await database.connection.collection('signing_keys').find({}, { promoteBuffers: true }).toArray();
  const bytes = Buffer.concat(Object.values(row?.['sealed'] as Record<string, Buffer>));
  expect(bytes.length).toBeGreaterThan(100);
  expect(bytes.includes(secret)).toBe(false);
  const text = JSON.stringify({ ...row, sealed: undefined });
  for (const form of ['base64', 'base64url', 'hex'] as const) expect(text).not.toContain(secret.toString(form));
  await expect(open(database, 'y8'.repeat(20))).rejects.toThrow(SealError);
  await ring.close();
});

test('a key that was put under another number or algorithm is refused', async () => {
  const [database] = databases as [Database];
  await (await open(database)).close();
  const rows = database.connection.collection('signing_keys');
  const [row] = await rows.find().toArray();
  await rows.deleteMany({});
  await rows.insertOne({ ...row, _id: 2 as never });
  await expect(open(database)).rejects.toThrow(SealError);
});
