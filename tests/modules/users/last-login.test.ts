import mongoose from 'mongoose';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../support/http';

let service: TestService;
let client: Client;
let adminToken: string;

beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  adminToken = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const HOUR_MS = 3_600_000;
const users = () => service.database.connection.collection('users');
const idOf = (id: string) => new mongoose.Types.ObjectId(id);
const lastLogin = async (id: string): Promise<string | null> =>
  (await client('GET', `/api/users/${id}`, { token: adminToken })).json.last_login_at;

/** Stores a time of the last login, and waits until it is seen; undefined: none is known. */
async function setLastLogin(id: string, ageMs: number | undefined): Promise<Date | null> {
  const at = ageMs === undefined ? null : new Date(service.database.clock.now() - ageMs);
  const change = at === null ? { $unset: { lastLoginAt: 1 } } : { $set: { lastLoginAt: at } };
  await users().updateOne({ _id: idOf(id) }, change);
  await eventually('the time to be seen', async () => {
    return (await lastLogin(id)) === (at?.toISOString() ?? null);
  });
  return at;
}

test('a registration is a login', async () => {
  const { user } = await register(client);
  const { json } = await client('GET', `/api/users/${user.id}`, { token: adminToken });
  expect(json.last_login_at).toBe(json.created_at);
});

test.each([
  ['unknown', undefined],
  ['older than an hour', HOUR_MS + 60_000],
])('a login is recorded where the last one is %s, and moves no revision', async (_, ageMs) => {
  const { user, access_token: token } = await register(client);
  const before = await setLastLogin(user.id, ageMs);
  const path = `/api/users/${user.id}`;
  const seen = await client('GET', path, { token });
  const etag = seen.headers.get('etag') ?? '';
  await login(client, user.email, PASSWORD);
  const at = await eventually('the login to be seen', async () => {
    const now = await lastLogin(user.id);
    return now !== null && now !== before?.toISOString() && now;
  });
  expect(Math.abs(Date.parse(at) - service.database.clock.now())).toBeLessThan(20_000);
  const headers = { 'if-none-match': etag };
  const again = await client('GET', path, { token, headers });
  expect([again.status, again.json.updated_at]).toEqual([200, seen.json.updated_at]);
  // The list tells the same.
  const { json: page } = await client('GET', `/api/users?email=${user.email}`, {
    token: adminToken,
  });
  expect(page.data[0].last_login_at).toBe(at);
  // A client that read before the login was recorded has not lost a race.
  const body = { name: 'Grace' };
  const write = await client('PATCH', path, { token, body, headers: { 'if-match': etag } });
  expect([write.status, write.json.last_login_at]).toEqual([200, at]);
});

test('within an hour no login is recorded', async () => {
  const { user } = await register(client);
  const before = await setLastLogin(user.id, HOUR_MS - 60_000);
  await login(client, user.email, PASSWORD);
  const other = await register(client);
  await setLastLogin(other.user.id, undefined);
  await login(client, other.user.email, PASSWORD);
  // The queue is in order: when the later one is recorded, the earlier one was looked at.
  await eventually('the later login', async () => (await lastLogin(other.user.id)) !== null);
  expect(await lastLogin(user.id)).toBe(before?.toISOString());
});

test('of concurrent logins one is recorded, and a failed one is not', async () => {
  const { user } = await register(client);
  await setLastLogin(user.id, 2 * HOUR_MS);
  await Promise.all(Array.from({ length: 4 }, () => login(client, user.email, PASSWORD)));
  await eventually('the login', async () => {
    return Date.parse((await lastLogin(user.id)) ?? '') > service.database.clock.now() - HOUR_MS;
  });
  const at = await lastLogin(user.id);
  expect(await users().findOne({ _id: idOf(user.id) })).toMatchObject({ rev: 1 });
  await login(client, user.email, PASSWORD);
  const failing = await register(client);
  const before = await setLastLogin(failing.user.id, 2 * HOUR_MS);
  const body = { email: failing.user.email, password: 'not the password' };
  expect((await client('POST', '/api/auth/login', { body })).status).toBe(401);
  expect(await lastLogin(user.id)).toBe(at);
  expect(await lastLogin(failing.user.id)).toBe(before?.toISOString());
});
