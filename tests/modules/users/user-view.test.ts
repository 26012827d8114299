import mongoose from 'mongoose';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  register,
  uniqueEmail,
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

const PRIVATE = { note: 'pays late', nested: { empty: {} } };

/** A user whose document holds what only administrators see. */
async function registerWithPrivate() {
  const registered = await register(client);
  const { id } = registered.user;
  await store(id, { privateMetadata: PRIVATE });
  const token = registered.access_token;
  await eventually('the private members to be seen', async () => {
    const { json } = await client('GET', `/api/users/${id}`, { token: adminToken });
    return json.private_metadata.note === PRIVATE.note;
  });
  return { ...registered, id, token, path: `/api/users/${id}` };
}

const users = () => service.database.connection.collection('users');
const idOf = (id: string) => new mongoose.Types.ObjectId(id);
const store = (id: string, members: object) =>
  users().updateOne({ _id: idOf(id) }, { $set: members });

test('private members: for administrators who read another user, and in no other answer', async () => {
  const { id, token, path, refresh_token, user, password } = await registerWithPrivate();
  const seen = await client('GET', path, { token: adminToken });
  expect([seen.json.private_metadata, seen.json.ban]).toEqual([PRIVATE, null]);
  const put = { name: 'Ada', email: user.email };
  const byAdmin = [
    await client('PATCH', path, { token: adminToken, body: { name: 'Ada' } }),
    await client('PUT', path, { token: adminToken, body: put }),
  ];
  for (const { json } of byAdmin) expect(json.private_metadata).toEqual(PRIVATE);
  const others = [
    await client('GET', path, { token }),
    await client('GET', '/api/users/me', { token }),
    await client('GET', '/api/auth/profile', { token }),
    await client('PATCH', path, { token, body: { name: 'Grace' } }),
    await client('PUT', '/api/users/me', { token, body: put }),
    await client('POST', '/api/auth/login', { body: { email: user.email, password } }),
    await client('POST', '/api/auth/refresh', { body: { refresh_token } }),
    await client('GET', `/api/users?email=${user.email}`, { token: adminToken }),
    await client('GET', '/api/auth/sessions', { token }),
  ];
  for (const { status, text } of others) {
    expect([status, text]).toEqual([200, expect.not.stringMatching(/private|pays late|"ban"/)]);
  }
  await users().updateOne({ _id: idOf(id) }, { $set: { role: 'admin' } });
  await eventually('the role to be seen', async () => {
    const { json } = await client('GET', '/api/users/me', { token });
    return json.role === 'admin' && !('private_metadata' in json);
  });
});

test('a service account that reads users does not see private members', async () => {
  const { path } = await registerWithPrivate();
  const { json: account } = await client('POST', '/api/service-accounts', {
    token: adminToken,
    body: { name: 'Machine', scopes: ['users:read', 'users:write'] },
  });
  const { json } = await client('POST', '/api/auth/token', {
    raw: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: account.id,
      client_secret: account.client_secret,
    }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  const token = json.access_token as string;
  const body = { name: 'By a machine' };
  for (const answer of [
    await client('GET', path, { token }),
    await client('PATCH', path, { token, body }),
  ]) {
    expect([answer.status, answer.text]).toEqual([200, expect.not.stringMatching(/private|"ban"/)]);
  }
});

test('the tags of both views differ: neither confirms the other, both are good for If-Match', async () => {
  const { token, path } = await registerWithPrivate();
  const tagOf = async (as: string) =>
    (await client('GET', path, { token: as })).headers.get('etag') ?? '';
  const [own, full] = [await tagOf(token), await tagOf(adminToken)];
  expect(own).not.toBe(full);
  const conditional = async (as: string, tag: string) =>
    (await client('GET', path, { token: as, headers: { 'if-none-match': tag } })).status;
  expect([await conditional(token, own), await conditional(adminToken, full)]).toEqual([304, 304]);
  expect([await conditional(token, full), await conditional(adminToken, own)]).toEqual([200, 200]);
  let names = 0;
  for (const as of [token, adminToken]) {
    for (const from of [token, adminToken]) {
      const headers = { 'if-match': await tagOf(from) };
      names += 1;
      const body = { name: `Name ${names}` };
      expect((await client('PATCH', path, { token: as, body, headers })).status).toBe(200);
      expect(
        (await client('PATCH', path, { token: as, body: { name: 'X' }, headers })).status,
      ).toBe(412);
    }
  }
});

test('an answer of GET can be sent back by PUT, of both views', async () => {
  const { token, path, id } = await registerWithPrivate();
  for (const as of [token, adminToken]) {
    const { json: body, headers } = await client('GET', path, { token: as });
    await store(id, { lastLoginAt: new Date() });
    const put = await client('PUT', path, { token: as, body });
    expect([put.status, put.json.updated_at]).toEqual([200, body.updated_at]);
    expect(headers.get('etag')).toBeTruthy();
  }
  const { json: body } = await client('GET', path, { token });
  const read_only = { status: 'banned', last_login_at: '2999-01-01T00:00:00.000Z', ban: null };
  for (const [member, value] of Object.entries(read_only)) {
    const { status, json } = await client('PUT', path, {
      token,
      body: { ...body, [member]: value },
    });
    expect([status, json.errors?.[0]?.pointer]).toEqual([422, `/${member}`]);
  }
  // The private members are not confirmed to the user, whatever it guesses.
  for (const value of [PRIVATE, {}]) {
    const { status } = await client('PATCH', path, { token, body: { private_metadata: value } });
    expect(status).toBeGreaterThanOrEqual(400);
  }
});

test('a document of the version before is read and written well', async () => {
  const email = uniqueEmail('old');
  const at = new Date('2026-01-01T00:00:00Z');
  const { insertedId } = await users().insertOne({
    ...{ name: 'Old', nameKey: 'old', email, emailKey: email, emailVerified: true },
    ...{ passwordHash: '$2b$10$x', role: 'user', status: 'active', rev: 7, sessionVersion: 1 },
    ...{ revokedSessions: [], createdAt: at, updatedAt: at },
  });
  const path = `/api/users/${insertedId.toHexString()}`;
  const { json } = await client('GET', path, { token: adminToken });
  expect(json).toMatchObject({
    ...{ status: 'active', external_id: null, user_metadata: {}, app_metadata: {} },
    ...{ last_login_at: null, private_metadata: {}, ban: null },
    password_change_required: false,
  });
  const changed = await client('PATCH', path, { token: adminToken, body: { name: 'Older' } });
  expect([changed.status, changed.json.name]).toEqual([200, 'Older']);
});

test('a banned user: status, and for administrators until when and why', async () => {
  const { user } = await register(client);
  const until = new Date('2999-01-01T00:00:00Z');
  await store(user.id, { status: 'banned', bannedUntil: until, banReason: 'spam' });
  const ban = await eventually('the ban', async () => {
    const { json } = await client('GET', `/api/users/${user.id}`, { token: adminToken });
    return json.status === 'banned' && json.ban;
  });
  expect(ban).toEqual({ until: until.toISOString(), reason: 'spam' });
});
