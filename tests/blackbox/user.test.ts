import { randomUUID } from 'node:crypto';
import { type Client, createClient, login, PASSWORD, register, uniqueEmail } from '../support/http';
import { openTarget, type Target } from './target';

let target: Target;
let client: Client;
beforeAll(async () => {
  target = await openTarget();
  client = createClient(target.baseUrl);
});
afterAll(() => target?.close());

const USER = {
  id: expect.stringMatching(/^[0-9a-f]{24}$/),
  role: 'user',
  email_verified: false,
  status: 'active',
  external_id: null,
  user_metadata: {},
  app_metadata: {},
  last_login_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
  updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
};
const bodyOf = (email: string) => ({ name: 'Ada Lovelace', email, password: PASSWORD });

test('a new user: register, log in, profile, conditional read, change', async () => {
  const email = uniqueEmail();
  const registered = await client('POST', '/api/auth/register', { body: bodyOf(email) });
  expect([registered.status, registered.headers.get('cache-control')]).toEqual([201, 'no-store']);
  expect(registered.json).toEqual({
    user: { ...USER, name: 'Ada Lovelace', email },
    access_token: expect.any(String),
    token_type: 'Bearer',
    expires_in: expect.any(Number),
    refresh_token: expect.any(String),
  });
  expect(registered.headers.get('location')).toBe(`/api/users/${registered.json.user.id}`);

  const token = await login(client, email.toUpperCase(), PASSWORD);
  const profile = await client('GET', '/api/auth/profile', { token });
  expect([profile.status, profile.json]).toEqual([200, registered.json.user]);
  const etag = profile.headers.get('etag') ?? '';
  expect(etag).toMatch(/^"[^"]+"$/);
  const unchanged = await client('GET', '/api/auth/profile', {
    token,
    headers: { 'if-none-match': etag },
  });
  expect([unchanged.status, unchanged.text]).toEqual([304, '']);

  const changed = await client('PATCH', '/api/users/me', {
    token,
    body: { name: 'Ada King' },
    headers: { 'if-match': etag },
  });
  expect([changed.status, changed.json.name]).toEqual([200, 'Ada King']);
  const late = await client('PATCH', '/api/users/me', {
    token,
    body: { name: 'Too late' },
    headers: { 'if-match': etag },
  });
  expect([late.status, late.json.code]).toEqual([412, 'precondition_failed']);
  // Whichever worker or host answers: nobody sees the old name any more.
  const reads = await Promise.all(
    Array.from({ length: 30 }, () =>
      client('GET', '/api/auth/profile', {
        token,
        headers: { connection: 'close', 'if-none-match': etag },
      }),
    ),
  );
  expect(new Set(reads.map(({ status, json }) => `${status} ${json?.name}`))).toEqual(
    new Set(['200 Ada King']),
  );
});

test('a changed password ends every other session; the old one is no longer good', async () => {
  const user = await register(client);
  const other = await login(client, user.user.email, PASSWORD);
  const next = 'another good horse battery';
  const wrong = { current_password: 'not this one', new_password: next };
  expect(
    (await client('PATCH', '/api/auth/password', { token: user.access_token, body: wrong })).status,
  ).toBe(422);
  const right = { current_password: PASSWORD, new_password: next };
  expect(
    (await client('PATCH', '/api/auth/password', { token: user.access_token, body: right })).status,
  ).toBe(200);
  expect((await client('GET', '/api/auth/profile', { token: other })).status).toBe(401);
  expect((await client('GET', '/api/auth/profile', { token: user.access_token })).status).toBe(200);
  const old = await client('POST', '/api/auth/login', {
    body: { email: user.user.email, password: PASSWORD },
  });
  expect([old.status, old.json.code]).toEqual([401, 'invalid_credentials']);
  await login(client, user.user.email, next);
});

test('refresh and log out', async () => {
  const user = await register(client);
  const refreshed = await client('POST', '/api/auth/refresh', {
    body: { refresh_token: user.refresh_token },
  });
  expect(refreshed.status).toBe(200);
  const token = refreshed.json.access_token as string;
  expect((await client('GET', '/api/auth/sessions', { token })).json.data).toHaveLength(1);
  expect((await client('POST', '/api/auth/logout', { token })).status).toBe(204);
  expect((await client('GET', '/api/auth/profile', { token })).status).toBe(401);
  expect(
    (
      await client('POST', '/api/auth/refresh', {
        body: { refresh_token: refreshed.json.refresh_token },
      })
    ).status,
  ).toBe(401);
});

test('ten registrations with one Idempotency-Key are one', async () => {
  const [key, body] = [randomUUID(), bodyOf(uniqueEmail())];
  const send = () =>
    client('POST', '/api/auth/register', {
      body,
      headers: { 'idempotency-key': key, connection: 'close' },
    });
  const answers = await Promise.all(Array.from({ length: 10 }, send));
  expect(answers.every(({ status }) => status === 201 || status === 409)).toBe(true);
  const again = await send();
  expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
  expect(new Set(answers.filter(({ status }) => status === 201).map(({ text }) => text))).toEqual(
    new Set([again.text]),
  );
});

test('nobody makes themselves an administrator', async () => {
  for (const extra of [
    { role: 'admin' },
    { _id: '652f1c3e9b1d4a0012ab34cd' },
    { passwordHash: 'x' },
    { created_at: 0 },
  ]) {
    const answer = await client('POST', '/api/auth/register', {
      body: { ...bodyOf(uniqueEmail()), ...extra },
    });
    expect([answer.status, answer.json.errors[0]?.code]).toEqual([422, 'unknown_field']);
  }
  const { access_token: token } = await register(client);
  expect((await client('PATCH', '/api/users/me', { token, body: { role: 'admin' } })).status).toBe(
    403,
  );
  expect((await client('GET', '/api/users', { token })).status).toBe(403);
  expect((await client('GET', '/api/users/652f1c3e9b1d4a0012ab34cd', { token })).status).toBe(403);
  expect((await client('GET', '/api/users/me', { token })).json.role).toBe('user');
});
