import { Secret } from 'otpauth';
import { startTestService, type TestService } from '../../../support/app';
import {
  addTotp,
  appOf,
  claimsIn,
  firstStep,
  laterOn,
  signIn,
  verify,
  withTotp,
} from '../../../support/factors';
import { type Client, createClient, eventually, login, register } from '../../../support/http';
import { readQrSvg } from '../../../support/qr';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';

let service: TestService;
let client: Client;
let smtp: TestSmtp;
beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({ SMTP_URL: smtp.url, TOTP_ISSUER: 'Example Shop' });
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const rows = (name: string) => service.database.connection.collection(name);
const audited = (subject: string, type: string, more: object = {}) =>
  eventually(
    type,
    async () => (await rows('audit_events').findOne({ subject, type, ...more })) ?? false,
  );
const factorsOf = async (token: string) =>
  (await client('GET', '/api/auth/factors', { token })).json;

test('an account without a factor signs in with the password alone', async () => {
  const { user, access_token } = await register(client);
  const { status, json } = await signIn(client, user.email);
  expect([status, json.user.id]).toEqual([200, user.id]);
  expect(claimsIn(json.access_token)).toMatchObject({ amr: ['pwd'], acr: 'aal1' });
  expect(await factorsOf(access_token)).toEqual({ data: [], policy: 'optional' });
});

test('an app is added by a code, with recovery codes, and then a login needs it', async () => {
  const { user, access_token: token } = await register(client);
  const enrolment = await client('POST', '/api/auth/factors/totp', {
    token,
    body: { name: 'Phone' },
  });
  expect(enrolment.status).toBe(201);
  expect(enrolment.headers.get('cache-control')).toBe('no-store');
  const { id, secret, otpauth_uri, qr_svg } = enrolment.json;
  const uri = new URL(otpauth_uri);
  expect(decodeURIComponent(uri.pathname)).toBe(`/Example Shop:${user.email}`);
  expect([uri.protocol, uri.host, uri.searchParams.get('secret')]).toEqual([
    ...['otpauth:', 'totp', secret],
  ]);
  expect(await readQrSvg(qr_svg)).toBe(otpauth_uri);
  // It does not count before it is confirmed.
  expect((await signIn(client, user.email)).json).toHaveProperty('access_token');
  const wrong = await client('POST', '/api/auth/factors/totp/confirm', {
    ...{ token, body: { code: '000000' } },
  });
  expect([wrong.status, wrong.json.errors[0].code]).toEqual([422, 'wrong_code']);
  const added = await client('POST', '/api/auth/factors/totp/confirm', {
    ...{ token, body: { code: appOf(otpauth_uri)() } },
  });
  expect(added.status).toBe(200);
  expect(new Set(added.json.recovery_codes).size).toBe(10);
  expect(claimsIn(added.json.access_token)).toMatchObject({
    amr: ['pwd', 'otp', 'mfa'],
    acr: 'aal2',
  });
  expect(await factorsOf(added.json.access_token)).toMatchObject({
    data: [
      { id, kind: 'totp', name: 'Phone' },
      { kind: 'recovery_code', remaining: 10 },
    ],
  });
  const asked = await signIn(client, user.email);
  expect(asked.json).toEqual({
    mfa_required: true,
    mfa_token: expect.stringMatching(/^[\w-]{43}$/),
    expires_in: 300,
    factors: ['totp', 'recovery_code'],
  });
  expect(asked.headers.get('cache-control')).toBe('no-store');
  await laterOn(service, user.id);
  const opened = await verify(client, asked.json.mfa_token, appOf(otpauth_uri)());
  expect([opened.status, opened.json.user.id]).toEqual([200, user.id]);
  const claims = claimsIn(opened.json.access_token);
  expect(claims).toMatchObject({ amr: ['pwd', 'otp', 'mfa'], acr: 'aal2' });
  const refreshed = await client('POST', '/api/auth/refresh', {
    body: { refresh_token: opened.json.refresh_token },
  });
  const { amr, acr, auth_time } = claims;
  expect(claimsIn(refreshed.json.access_token)).toMatchObject({ amr, acr, auth_time });
  await smtp.waitFor(user.email, /A second factor was added/);
  await audited(user.id, 'factor_added', { actor: user.id, reason: 'totp' });
  await audited(user.id, 'factor_requested');
  await audited(user.id, 'factor_verified', { result: 'failure', reason: 'totp wrong_code' });
});

test('no secret is stored in the clear, nor exported', async () => {
  const { id, email, token, recoveryCodes, secret } = await withTotp(service, client);
  const mfaToken = await firstStep(client, email);
  const stored = JSON.stringify([
    await rows('factors').find({ userId: id }).toArray(),
    await rows('recovery_codes').find({}).toArray(),
    await rows('mfa_tokens').find({}).toArray(),
  ]);
  for (const code of recoveryCodes) {
    expect(stored).not.toContain(code);
    expect(stored).not.toContain(code.replaceAll('-', ''));
  }
  expect(stored).not.toContain(mfaToken);
  const row = await rows('factors').findOne({ userId: id });
  expect(Object.keys(row?.['secret'])).toEqual(['salt', 'iv', 'tag', 'data']);
  const bytes = Object.values<{ buffer: Uint8Array }>(row?.['secret']).map((one) =>
    Buffer.from(one.buffer),
  );
  const plain = Secret.fromBase32(secret).bytes;
  for (const text of [Buffer.from(plain), Buffer.from(secret)])
    expect(bytes.some((one) => one.includes(text))).toBe(false);
  const exported = await client('GET', '/api/users/me/export', { token });
  expect(exported.json.factors).toMatchObject([{ kind: 'totp' }, { kind: 'recovery_code' }]);
  expect(JSON.stringify(exported.json.factors)).not.toMatch(/"(secret|codes)"/);
});

test('a recovery code works once, in any case; few are told by mail; a new set replaces them', async () => {
  const { id, email, recoveryCodes, token } = await withTotp(service, client);
  const [first = '', ...rest] = recoveryCodes;
  const use = async (code: string) =>
    verify(client, await firstStep(client, email), code, 'recovery_code');
  const used = await use(first.toUpperCase().replaceAll('-', ' '));
  expect([used.status, used.json.recovery_codes_left]).toEqual([200, 9]);
  expect(claimsIn(used.json.access_token)).toMatchObject({ amr: ['pwd', 'rc', 'mfa'] });
  expect((await use(first)).json.errors[0].code).toBe('wrong_code');
  for (const code of rest.slice(0, 5)) expect((await use(code)).status).toBe(200);
  expect(smtp.mails.filter(({ to }) => to.includes(email))).not.toContainEqual(
    expect.objectContaining({ subject: expect.stringMatching(/Few recovery codes/) }),
  );
  expect((await use(rest[5] ?? '')).json.recovery_codes_left).toBe(3);
  await smtp.waitFor(email, /Few recovery codes are left/);
  await audited(id, 'recovery_code_used', { reason: '3 left' });
  const renewed = await client('POST', '/api/auth/factors/recovery-codes', { token });
  expect([renewed.status, renewed.json.recovery_codes.length]).toEqual([200, 10]);
  expect((await use(rest[6] ?? '')).status).toBe(422);
  expect((await use(renewed.json.recovery_codes[0])).status).toBe(200);
  await smtp.waitFor(email, /recovery codes were replaced/);
  await audited(id, 'recovery_codes_replaced');
});

test('a step-up makes a session recent again, and counts as a factor', async () => {
  const { id, token, app } = await withTotp(service, client);
  await rows('sessions').updateMany(
    { userId: id },
    { $set: { createdAt: new Date(Date.now() - 601_000) }, $unset: { authenticatedAt: '' } },
  );
  const enrol = (bearer: string) =>
    client('POST', '/api/auth/factors/totp', { token: bearer, body: {} });
  const refused = await enrol(token);
  expect([refused.status, refused.json.code]).toEqual([401, 'insufficient_user_authentication']);
  const stepped = await client('POST', '/api/auth/mfa/step-up', {
    ...{ token, body: { factor: 'totp', code: app() } },
  });
  expect(stepped.status).toBe(200);
  const fresh = Number(claimsIn(stepped.json.access_token)['auth_time']);
  expect(fresh).toBeGreaterThan(Date.now() / 1000 - 60);
  expect((await enrol(stepped.json.access_token)).status).toBe(201);
  const again = await client('POST', '/api/auth/mfa/step-up', {
    ...{ token: stepped.json.access_token, body: { factor: 'totp', code: app() } },
  });
  expect(again.json.errors[0].code).toBe('wrong_code');
  await audited(id, 'stepped_up', { reason: 'totp' });
});

test('every change ends the step-up of the other sessions: only their first step counts', async () => {
  const { user, access_token: token } = await register(client);
  const other = (await signIn(client, user.email)).json;
  await addTotp(client, token);
  const enrol = await client('POST', '/api/auth/factors/totp', {
    ...{ token: other.access_token, body: {} },
  });
  expect([enrol.status, enrol.json.code]).toEqual([401, 'insufficient_user_authentication']);
  const refreshed = await client('POST', '/api/auth/refresh', {
    body: { refresh_token: other.refresh_token },
  });
  expect(claimsIn(refreshed.json.access_token)).toMatchObject({ amr: ['pwd'], acr: 'aal1' });
});

test('removal needs the factor; the last one takes the recovery codes with it', async () => {
  const { id, email, app, token, factorId } = await withTotp(service, client);
  const second = (await verify(client, await firstStep(client, email), app())).json;
  expect(claimsIn(second.access_token)).toMatchObject({ acr: 'aal2' });
  const gone = await client('DELETE', `/api/auth/factors/${'0'.repeat(24)}`, { token });
  expect([gone.status, gone.json.code]).toEqual([404, 'factor_not_found']);
  const codes = await client('DELETE', '/api/auth/factors/recovery_code', { token });
  expect(codes.status).toBe(404);
  expect((await client('DELETE', `/api/auth/factors/${factorId}`, { token })).status).toBe(204);
  expect((await factorsOf(token)).data).toEqual([]);
  expect((await signIn(client, email)).json).toHaveProperty('access_token');
  const stale = await client('POST', '/api/auth/factors/totp', {
    ...{ token: second.access_token, body: {} },
  });
  expect(stale.status).toBe(401);
  await smtp.waitFor(email, /A second factor was removed/);
  await audited(id, 'factor_removed', { actor: id, reason: 'totp' });
  const none = await client('POST', '/api/auth/factors/recovery-codes', { token });
  expect([none.status, none.json.code]).toEqual([409, 'no_factor']);
});

test('an administrator removes the factors of a user who lost them', async () => {
  const admin = await login(client, service.admin.email, service.admin.password);
  const { id, email } = await withTotp(service, client);
  const reset = () => client('DELETE', `/api/users/${id}/factors`, { token: admin });
  expect([(await reset()).status, (await reset()).status]).toEqual([204, 204]);
  expect((await signIn(client, email)).json).toHaveProperty('access_token');
  await smtp.waitFor(email, /A second factor was removed/);
  const me = (await client('GET', '/api/users/me', { token: admin })).json.id;
  await audited(id, 'factor_removed', { actor: me, reason: 'all' });
  const nobody = await client('DELETE', `/api/users/${'0'.repeat(24)}/factors`, { token: admin });
  expect([nobody.status, nobody.json.code]).toEqual([404, 'user_not_found']);
  // The own ones go by the way that keeps the last one where it must stay.
  const own = await client('DELETE', `/api/users/${me}/factors`, { token: admin });
  expect([own.status, own.json.code]).toEqual([409, 'own_account']);
  await rows('sessions').updateMany(
    { userId: me },
    { $set: { createdAt: new Date(Date.now() - 601_000) } },
  );
  expect((await reset()).json.code).toBe('insufficient_user_authentication');
});

test('the purge of a removed account leaves nothing of its factors', async () => {
  const { id, email, token } = await withTotp(service, client);
  await firstStep(client, email);
  expect((await client('DELETE', '/api/users/me', { token })).status).toBe(204);
  await eventually('the purge', async () => {
    const left = await Promise.all([
      rows('factors').countDocuments({ userId: id }),
      rows('mfa_tokens').countDocuments({ userId: id }),
      rows('recovery_codes').countDocuments({ _id: id as never }),
    ]);
    return left.every((count) => count === 0);
  });
});

test('routes that need a recent login take a fresh factor for one', async () => {
  const { id, app, token } = await withTotp(service, client);
  const since = new Date(Date.now() - 601_000);
  await rows('sessions').updateMany({ userId: id }, { $set: { authenticatedAt: since } });
  const remove = (by: string) => client('DELETE', '/api/users/me', { token: by });
  expect((await remove(token)).json.code).toBe('insufficient_user_authentication');
  await laterOn(service, id);
  const body = { factor: 'totp', code: app() };
  const steppedUp = await client('POST', '/api/auth/mfa/step-up', { token, body });
  expect(steppedUp.status).toBe(200);
  expect((await remove(steppedUp.json.access_token)).status).toBe(204);
});
