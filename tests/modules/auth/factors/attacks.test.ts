import { startTestService, type TestService } from '../../../support/app';
import {
  addTotp,
  claimsIn,
  firstStep,
  laterOn,
  signIn,
  verify,
  withTotp,
} from '../../../support/factors';
import {
  type Answer,
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

const NEXT = 'another long password';

/** Two hosts on one database. */
let mongo: TestMongo;
let smtp: TestSmtp;
let hosts: readonly [TestService, TestService];
let clients: readonly [Client, Client];
let client: Client;
beforeAll(async () => {
  [mongo, smtp] = await Promise.all([startTestMongo(), startTestSmtp()]);
  const settings = { SMTP_URL: smtp.url, TRUST_PROXY: '1' };
  hosts = [await startTestService(settings, mongo), await startTestService(settings, mongo)];
  clients = [createClient(hosts[0].baseUrl), createClient(hosts[1].baseUrl)];
  client = clients[0];
});
afterAll(async () => {
  for (const host of hosts ?? []) await host.close();
  await Promise.all([mongo?.close(), smtp?.close()]);
});

const rows = (name: string) => hosts[0].database.connection.collection(name);
const opened = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200);
const codesOf = (answers: readonly Answer[]) =>
  answers.map(({ json }) => json.errors?.[0]?.code ?? json.code);
/** The client at an address, as a balancer tells it. */
const behind =
  (one: Client, address: string): Client =>
  (method, path, options = {}) =>
    one(method, path, {
      ...options,
      headers: { ...options.headers, 'x-forwarded-for': address },
    });
const sessionsOf = (userId: string) => rows('sessions').countDocuments({ userId });
const invalid = async (answer: Promise<Answer>) =>
  expect([(await answer).status, (await answer).json.code]).toEqual([400, 'invalid_mfa_token']);

test('a step of an app, given to two hosts at once, opens one session (planted: a read before the write)', async () => {
  const { id, email, app } = await withTotp(hosts[0], client);
  const tokens = await Promise.all(Array.from({ length: 6 }, () => firstStep(client, email)));
  const before = await sessionsOf(id);
  const code = app();
  const answers = await Promise.all(
    tokens.map((token, i) => verify(clients[(i % 2) as 0 | 1], token, code)),
  );
  expect(opened(answers)).toHaveLength(1);
  expect(await sessionsOf(id)).toBe(before + 1);
  const refused = answers.filter(({ status }) => status !== 200);
  expect(new Set(codesOf(refused))).toEqual(new Set(['wrong_code']));
  // Nor is the step before it good any more.
  expect(codesOf([await verify(client, await firstStep(client, email), app(-1))])).toEqual([
    'wrong_code',
  ]);
});

test('one mfa_token with several good codes, over two hosts at once, opens one session (planted: a token that stays)', async () => {
  const { id, email, recoveryCodes } = await withTotp(hosts[0], client);
  const token = await firstStep(client, email);
  const before = await sessionsOf(id);
  const answers = await Promise.all(
    recoveryCodes
      .slice(0, 4)
      .map((code, i) => verify(clients[(i % 2) as 0 | 1], token, code, 'recovery_code')),
  );
  expect(opened(answers)).toHaveLength(1);
  expect(await sessionsOf(id)).toBe(before + 1);
  await invalid(verify(client, token, recoveryCodes[5] ?? '', 'recovery_code'));
});

test('one recovery code, used by several sign-ins at once, opens one session', async () => {
  const { email, recoveryCodes } = await withTotp(hosts[0], client);
  const tokens = await Promise.all(Array.from({ length: 4 }, () => firstStep(client, email)));
  const answers = await Promise.all(
    tokens.map((token, i) =>
      verify(clients[(i % 2) as 0 | 1], token, recoveryCodes[0] ?? '', 'recovery_code'),
    ),
  );
  expect(opened(answers)).toHaveLength(1);
});

test('guesses count over all sign-ins and hosts, malformed ones do not, and each kind for itself', async () => {
  const { id, email, app, recoveryCodes } = await withTotp(hosts[0], client);
  for (const code of ['12345', '1234567', 'abcdef', ''])
    expect((await verify(client, await firstStep(client, email), code)).status).toBe(422);
  const wrong = app(7);
  for (let i = 0; i < 10; i += 1) {
    // Each from an address of its own.
    const from = behind(clients[(i % 2) as 0 | 1], `198.51.${i}.1`);
    const token = await firstStep(from, email);
    expect(codesOf([await verify(from, token, wrong)])).toEqual(['wrong_code']);
  }
  const token = await firstStep(client, email);
  for (const one of clients) {
    const refused = await verify(one, token, app());
    expect([refused.status, refused.json.code]).toEqual([429, 'too_many_attempts']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  // A step-up is no way around the limit.
  const other = await verify(client, token, recoveryCodes[0] ?? '', 'recovery_code');
  expect(other.status).toBe(200);
  await laterOn(hosts[0], id);
  const stepUp = await client('POST', '/api/auth/mfa/step-up', {
    ...{ token: other.json.access_token, body: { factor: 'totp', code: app() } },
  });
  expect(stepUp.status).toBe(429);
});

test('an mfa_token is good for its own client, until it expires, and nothing else', async () => {
  const { id, email, app } = await withTotp(hosts[0], client);
  const token = await firstStep(client, email);
  expect((await client('GET', '/api/auth/profile', { token })).status).toBe(401);
  const asRefresh = await client('POST', '/api/auth/refresh', { body: { refresh_token: token } });
  expect(asRefresh.status).toBe(401);
  await invalid(verify(client, 'A'.repeat(43), app()));
  await invalid(
    client('POST', '/api/auth/mfa/verify', {
      body: { mfa_token: token, factor: 'totp', code: app() },
      headers: { 'user-agent': 'another browser' },
    }),
  );
  await eventually('the record of it', () =>
    rows('audit_events').findOne({ subject: id, reason: 'mfa_token another_client' }),
  );
  await invalid(client('POST', '/api/auth/mfa/totp', { body: { mfa_token: token } }));
  const expired = await firstStep(client, email);
  const newest = await rows('mfa_tokens').find({ userId: id }).sort({ until: -1 }).next();
  await rows('mfa_tokens').updateOne({ _id: newest?._id ?? 0 } as object, {
    $set: { until: new Date() },
  });
  await invalid(verify(client, expired, app()));
  expect((await verify(client, token, app())).status).toBe(200);
  await laterOn(hosts[0], id);
  await invalid(verify(client, token, app()));
});

test('whatever ends the sessions of an account ends its pending sign-ins (planted: no session version)', async () => {
  const admin = await login(client, hosts[0].admin.email, hosts[0].admin.password);
  const ends: readonly ((of: { id: string; token: string }) => Promise<Answer>)[] = [
    ({ token }) =>
      client('PATCH', '/api/auth/password', {
        ...{ token, body: { current_password: PASSWORD, new_password: NEXT } },
      }),
    ({ token }) => client('POST', '/api/auth/logout?scope=global', { token }),
    ({ id }) => client('POST', `/api/users/${id}/ban`, { token: admin, body: {} }),
    ({ id }) => client('PATCH', `/api/users/${id}`, { token: admin, body: { role: 'support' } }),
    ({ token }) => client('DELETE', '/api/users/me', { token }),
    ({ id }) => client('DELETE', `/api/users/${id}/factors`, { token: admin }),
  ];
  for (const end of ends) {
    const account = await withTotp(hosts[0], client);
    const pending = await firstStep(client, account.email);
    expect((await end(account)).status).toBeLessThan(300);
    await invalid(verify(clients[1], pending, account.app()));
  }
});

test('a stolen access token removes no factor and adds none', async () => {
  const { user, access_token: stolen } = await register(client);
  const own = (await signIn(client, user.email)).json.access_token;
  const { factorId } = await addTotp(client, own);
  // Its session is young, and was opened before the factor.
  const uses = (token: string) => [
    client('DELETE', `/api/auth/factors/${factorId}`, { token }),
    client('POST', '/api/auth/factors/totp', { token, body: {} }),
    client('POST', '/api/auth/factors/totp/confirm', { token, body: { code: '000000' } }),
    client('POST', '/api/auth/factors/recovery-codes', { token }),
  ];
  for (const answer of await Promise.all(uses(stolen)))
    expect(answer.json.code).toBe('insufficient_user_authentication');
  // Of a session with the factor, that is no longer recent.
  const { id, token, factorId: other } = await withTotp(hosts[0], client);
  await rows('sessions').updateMany(
    { userId: id },
    { $set: { authenticatedAt: new Date(Date.now() - 601_000) } },
  );
  const late = await client('DELETE', `/api/auth/factors/${other}`, { token });
  expect([late.status, late.json.code]).toEqual([401, 'insufficient_user_authentication']);
});

test('an administrator who acts as the user cannot touch its factors', async () => {
  const admin = await login(client, hosts[0].admin.email, hosts[0].admin.password);
  const { id, factorId, app } = await withTotp(hosts[0], client);
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: id,
    subject_token_type: 'urn:token-type:user_id',
    actor_token: admin,
    actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  });
  const exchanged = await client('POST', '/api/auth/token', {
    raw: form.toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  const token = exchanged.json.access_token as string;
  const answers = await Promise.all([
    client('DELETE', `/api/auth/factors/${factorId}`, { token }),
    client('POST', '/api/auth/factors/totp', { token, body: {} }),
    client('POST', '/api/auth/factors/recovery-codes', { token }),
    client('POST', '/api/auth/mfa/step-up', { token, body: { factor: 'totp', code: app() } }),
  ]);
  for (const { json } of answers) expect(json.code).toBe('impersonation_forbidden');
});

test('a password reset opens no session, and the factor is still asked', async () => {
  const { id, email, app } = await withTotp(hosts[0], client);
  // A first proof of the address would remove the factor (ADR 12).
  await rows('users').updateOne({ email }, { $set: { emailVerified: true } });
  const from = smtp.mails.length;
  await client('POST', '/api/auth/password/forgot', { body: { email } });
  const { text } = await smtp.waitFor(email, /Set a new password/, from);
  const token = /The token is: ([\w-]{43})\n/.exec(text)?.[1];
  const reset = await client('POST', '/api/auth/password/reset', {
    body: { token, new_password: NEXT },
  });
  expect([reset.status, reset.text, await sessionsOf(id)]).toEqual([204, '', 0]);
  const pending = await firstStep(client, email, NEXT);
  expect(await sessionsOf(id)).toBe(0);
  expect((await verify(client, pending, app())).status).toBe(200);
});

test('a required password change leads to the factor, not past it', async () => {
  const admin = await login(client, hosts[0].admin.email, hosts[0].admin.password);
  const { id, email, app } = await withTotp(hosts[0], client);
  await client('POST', `/api/users/${id}/require-password-change`, { token: admin, body: {} });
  const asked = await signIn(client, email);
  expect(asked.json.code).toBe('password_change_required');
  const replaced = await client('POST', '/api/auth/password/required', {
    body: { token: asked.json.password_change_token, new_password: NEXT },
  });
  expect([replaced.status, replaced.json.mfa_required]).toEqual([200, true]);
  expect(replaced.json).not.toHaveProperty('access_token');
  expect(await sessionsOf(id)).toBe(0);
  const done = await verify(client, replaced.json.mfa_token, app());
  expect(claimsIn(done.json.access_token)).toMatchObject({ acr: 'aal2' });
});
