import { type Connection, createConnection, Types } from 'mongoose';
import { mintSessions } from '../../../dev/loadtest/data/mint';
import { removeSeeded, seededCount, seededRange, seedUsers } from '../../../dev/loadtest/data/seed';
import { documentOf } from '../../../dev/loadtest/data/templates';
import { ADMIN, emailOf, idOf, PASSWORD } from '../../../dev/loadtest/data/users';
import type { TestUser } from '../../../dev/loadtest/scenarios';
import { parseConfig } from '../../../src/kernel/config/config';
import { NO_PASSWORD } from '../../../src/modules/auth';
import { REVOCATIONS_COLLECTION } from '../../../src/modules/auth/revocations/log';
import { USERS_COLLECTION, type UserDocument } from '../../../src/modules/users/model';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { startTestService, type TestService } from '../../support/app';
import { startTestMongo, type TestMongo } from '../../support/mongo';

/** Keys of the database, as a deployment without a JWT_SECRET has them. */
const SETTINGS = {
  JWT_SECRET: '',
  KEY_ENCRYPTION_SECRET: 'uN4v8Xw2Zq6Rt0Yb3Mk7Jp1Fd5Hs9GcL',
  PUBLIC_URL: 'http://localhost:3000',
};
const USERS = 2000;

let mongo: TestMongo;
let service: TestService;
/** Without the time limits of a service. */
let connection: Connection;
const log = createLogger({ level: 'silent' });
const config = () =>
  parseConfig({ NODE_ENV: 'test', BCRYPT_COST: '4', MONGODB_URI: mongo.uri, ...SETTINGS });

beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startTestService(SETTINGS, mongo);
  connection = await createConnection(mongo.uri).asPromise();
  await seedUsers(connection, config(), USERS);
}, 120_000);
afterAll(async () => {
  await connection?.close();
  await service?.close();
  await mongo?.close();
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${service.baseUrl}${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });

const bodyOf = async <T>(answer: Response): Promise<T> => (await answer.json()) as T;

async function minted(count: number) {
  const { database } = service;
  return mintSessions({ config: config(), database, log, count, durationSeconds: 10 });
}

const bearer = ({ accessToken }: TestUser) => ({ Authorization: `Bearer ${accessToken}` });
const first = (users: readonly TestUser[]) => users[0] as TestUser;

test('a seeded user signs in, and the service reads it like any other', async () => {
  const answer = await post('/api/auth/login', { email: emailOf(1321), password: PASSWORD });
  expect(answer.status).toBe(200);
  const { user, access_token: token } = await bodyOf<{ user: unknown; access_token: string }>(
    answer,
  );
  expect(user).toMatchObject({ id: idOf(1321), role: 'user', email_verified: true });
  const own = await fetch(`${service.baseUrl}/api/users/me`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  expect(await own.json()).toMatchObject({ id: idOf(1321), email: emailOf(1321) });
});

test('the administrator has no password, nor one that an earlier version gave it', async () => {
  const users = connection.collection<UserDocument>(USERS_COLLECTION);
  const admin = { _id: new Types.ObjectId(idOf(ADMIN)) };
  expect(await users.findOne(admin)).toMatchObject({ role: 'admin', passwordHash: NO_PASSWORD });
  const attempt = () => post('/api/auth/login', { email: emailOf(ADMIN), password: PASSWORD });
  expect((await attempt()).status).toBe(401);
  const { passwordHash = '' } = (await users.findOne({ email: emailOf(1) })) ?? {};
  await users.updateOne(admin, { $set: { passwordHash } });
  await seedUsers(connection, config(), USERS);
  expect((await attempt()).status).toBe(401);
});

test('the database makes the documents that the users module would store', async () => {
  const users = connection.collection<UserDocument>(USERS_COLLECTION);
  for (const n of [1, 9, 10, 71, 72, 100, 999, 1000, 1322, 1999]) {
    const stored = await users.findOne({ _id: new Types.ObjectId(idOf(n)) });
    expect(stored).toEqual(documentOf(n, [stored?.passwordHash ?? '']));
  }
  const hashes = await users.distinct('passwordHash', { _id: seededRange, role: 'user' });
  expect(hashes).toHaveLength(8);
});

test('a run that was interrupted is completed', async () => {
  const users = connection.collection<UserDocument>(USERS_COLLECTION);
  const gone = [5, 700, 1998].map((n) => new Types.ObjectId(idOf(n)));
  await users.deleteMany({ _id: { $in: gone } });
  expect(await seedUsers(connection, config(), USERS)).toBe(3);
  expect(await users.countDocuments({ _id: seededRange })).toBe(USERS);
});

test('a second run adds only the missing users', async () => {
  expect(await seedUsers(connection, config(), USERS)).toBe(0);
  expect(await seedUsers(connection, config(), USERS + 3)).toBe(3);
  expect(await seededCount(connection)).toBe(USERS + 3);
});

test('a minted token is accepted, and its session ends as others do', async () => {
  const { users, remove } = await minted(3);
  const profile = () =>
    fetch(`${service.baseUrl}/api/auth/profile`, { headers: bearer(first(users)) });
  const answer = await profile();
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ id: idOf(0), role: 'admin' });
  const list = await fetch(`${service.baseUrl}/api/users?limit=5&q=u1717`, {
    headers: bearer(first(users)),
  });
  expect((await bodyOf<{ data: unknown[] }>(list)).data).toContainEqual(
    expect.objectContaining({ id: idOf(1717) }),
  );
  const unchanged = await fetch(`${service.baseUrl}/api/users/${idOf(1)}`, {
    headers: { ...bearer(users[1] as TestUser), 'If-None-Match': users[1]?.etag ?? '' },
  });
  expect(unchanged.status).toBe(304);
  expect((await post('/api/auth/logout', undefined, bearer(first(users)))).status).toBe(204);
  expect((await profile()).status).toBe(401);
  await remove();
});

test('a minted session refreshes, and is gone after its removal', async () => {
  const { users, remove } = await minted(2);
  const refreshed = await post('/api/auth/refresh', {
    refresh_token: (users[1] as TestUser).refreshToken,
  });
  expect(refreshed.status).toBe(200);
  await remove();
  const { refresh_token } = await bodyOf<{ refresh_token: string }>(refreshed);
  expect((await post('/api/auth/refresh', { refresh_token })).status).toBe(401);
});

test('removal leaves nothing of the seeded users, and the others', async () => {
  await minted(5);
  const removed = await removeSeeded(connection);
  expect(removed).toBe(USERS + 3);
  const left: string[] = [];
  for (const { name } of (await connection.db?.listCollections().toArray()) ?? []) {
    const text = JSON.stringify(await connection.collection(name).find().toArray());
    if (text.includes('10ad7e57') || text.includes('@loadtest.example')) left.push(name);
  }
  // The log of ended tokens has an end of its own, and verifiers count its positions.
  expect(left.filter((name) => name !== REVOCATIONS_COLLECTION)).toEqual([]);
  const { email, password } = service.admin;
  expect((await post('/api/auth/login', { email, password })).status).toBe(200);
});
