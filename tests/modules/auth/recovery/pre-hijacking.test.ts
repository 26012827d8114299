import type { SoftPasskey } from '../../../../dev/passkeys/authenticator';
import type { MongoProxy } from '../../../../faults/mongo-proxy';
import type { TestService } from '../../../support/app';
import { addTotp, appOf, firstStep, laterOn, signIn, withTotp } from '../../../support/factors';
import {
  type Client,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { auditedOf, PASSKEY_SETTINGS, passkeyPage, withPasskey } from '../../../support/passkeys';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';
import { startTwoHosts, type TwoHosts } from '../../../support/two-hosts';

/** An account that a stranger has opened with the address of somebody else (ADR 12). */
let smtp: TestSmtp;
let hosts: TwoHosts;
let proxy: MongoProxy;
/** The opener's requests go to `far`, whose commands can be held; the owner's to `near`. */
let [far, near]: TestService[] = [];
let [opener, owner]: Client[] = [];

beforeAll(async () => {
  smtp = await startTestSmtp();
  const settings = { ...PASSKEY_SETTINGS, SMTP_URL: smtp.url };
  hosts = await startTwoHosts(settings, { DB_OPERATION_TIMEOUT_MS: '4000' });
  ({ farHost: far, nearHost: near, far: opener, near: owner, proxy } = hosts);
});
afterEach(() => proxy.pass());
afterAll(async () => {
  await hosts?.close();
  await smtp?.close();
});

const NEW_PASSWORD = 'a brand new password';
const rows = (name: string) =>
  (near as TestService).database.connection.collection<{ _id: string }>(name);
const by = (client: Client | undefined) => client as Client;
const isVerified = async (id: string) =>
  (await by(owner)('GET', '/api/users/me', { token: await login(by(owner), id, NEW_PASSWORD) }))
    .json.email_verified;

async function resetToken(email: string): Promise<string> {
  const from = smtp.mails.length;
  const { status } = await by(owner)('POST', '/api/auth/password/forgot', { body: { email } });
  expect(status).toBe(202);
  const { text } = await smtp.waitFor(email, /Set a new password/, from);
  return /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1] as string;
}
const reset = (token: string, client = owner) =>
  by(client)('POST', '/api/auth/password/reset', { body: { token, new_password: NEW_PASSWORD } });
async function resetByMail(email: string) {
  expect((await reset(await resetToken(email))).status).toBe(204);
}
const usePasskey = async (passkey: SoftPasskey) =>
  (await passkeyPage(by(owner)).use(passkey)).status;
async function factorsAfter(email: string) {
  const token = await login(by(owner), email, NEW_PASSWORD);
  const { json } = await by(owner)('GET', '/api/auth/factors', { token });
  return { token, kinds: json.data.map(({ kind }: { kind: string }) => kind) };
}

test('the first reset removes the passkeys and factors of the opener, and the owner gets in', async () => {
  const { id, email, passkey } = await withPasskey(by(opener));
  const more = await withTotp(far as TestService, by(opener));
  expect(more.recoveryCodes.length).toBe(10);
  await resetByMail(email);
  await resetByMail(more.email);
  expect(await usePasskey(passkey)).toBe(401);
  expect((await factorsAfter(email)).kinds).toEqual([]);
  const { kinds, token } = await factorsAfter(more.email);
  expect(kinds).toEqual([]);
  // The codes of the opener must not be those of the owner's first factor either.
  const added = await addTotp(by(owner), token);
  expect(added.recoveryCodes.length).toBe(10);
  // A host of the release before this one reads these members of every row.
  const fence = await rows('recovery_codes').findOne({ _id: id });
  expect(fence).toMatchObject({ codes: [], createdAt: expect.any(Date) });
  for (const subject of [id, more.id])
    await eventually('the removal in the audit log', async () => {
      const found = await auditedOf(near as TestService, subject, 'factor_removed');
      return found.length === 1 && found[0]?.['reason'] === 'all';
    });
});

test('a reset of a verified address leaves them', async () => {
  const { email, passkey } = await withPasskey(by(opener));
  await rows('users').updateOne({ email } as object, { $set: { emailVerified: true } });
  await resetByMail(email);
  await firstStep(by(owner), email, NEW_PASSWORD);
  expect(await usePasskey(passkey)).toBe(200);
});

test.each([
  ['an administrator', 'PATCH'],
  ['a service account with users:write alone', 'PATCH'],
  ['an import', 'import'],
])('another address, which %s has set, does not remove them', async (who, how) => {
  const { admin } = near as TestService;
  const token = await login(by(owner), admin.email, admin.password);
  const { id, email, passkey } = await withPasskey(by(opener));
  await rows('users').updateOne({ email } as object, { $set: { emailVerified: true } });
  const scopes = ['users:write', 'users:import'];
  const body = { name: 'Account', scopes };
  const account = await by(owner)('POST', '/api/service-accounts', { token, body });
  const grant = { grant_type: 'client_credentials', client_id: account.json.id };
  const tokens = await by(owner)('POST', '/api/auth/token', {
    raw: new URLSearchParams({ ...grant, client_secret: account.json.client_secret }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  const actor = who === 'an administrator' ? token : tokens.json.access_token;
  const moved = uniqueEmail('moved');
  if (how === 'PATCH')
    await by(owner)('PATCH', `/api/users/${id}`, { token: actor, body: { email: moved } });
  else await importMoved(actor, email, moved);
  await resetByMail(moved);
  await firstStep(by(owner), moved, NEW_PASSWORD);
  expect(await usePasskey(passkey)).toBe(200);
});

/** In two files: the first one says that the address is not verified. */
async function importMoved(token: string, email: string, moved: string): Promise<void> {
  const external_id = moved;
  for (const [match, record] of [
    ['email', { email, external_id, email_verified: false }],
    ['external_id', { external_id, email: moved }],
  ] as const) {
    const { json } = await by(owner)('POST', `/api/users/import?conflict=update&match=${match}`, {
      token,
      raw: `${JSON.stringify(record)}\n`,
      headers: { 'content-type': 'application/x-ndjson' },
    });
    await eventually('the end of the import', async () => {
      const job = await by(owner)('GET', `/api/jobs/${json.id}`, { token });
      return job.json.state === 'done' && job.json.progress.updated === 1;
    });
  }
}

describe('requests of the opener in flight at the reset', () => {
  test('adds no passkey', async () => {
    const { user, access_token: token } = await register(by(opener));
    const page = passkeyPage(by(opener));
    const options = (await page.creation(token)).json.public_key;
    const { passkey, credential } = page.authenticator.create(options);
    proxy.holdFrom('$push');
    const late = page.register(token, credential);
    await eventually('the held command', () => proxy.isHolding());
    await resetByMail(user.email);
    proxy.pass();
    expect((await late).status).toBe(401);
    expect(await usePasskey(passkey)).toBe(401);
    expect(await isVerified(user.email)).toBe(true);
  });

  test('confirms no authenticator app', async () => {
    const { user, access_token: token } = await register(by(opener));
    const enrolment = await by(opener)('POST', '/api/auth/factors/totp', { token, body: {} });
    const code = appOf(enrolment.json.otpauth_uri)();
    proxy.holdFrom('update\0\x08\0\0\0factors');
    const path = '/api/auth/factors/totp/confirm';
    const late = by(opener)('POST', path, { token, body: { code } });
    await eventually('the held command', () => proxy.isHolding());
    await resetByMail(user.email);
    proxy.pass();
    expect((await late).status).toBe(422);
    expect((await factorsAfter(user.email)).kinds).toEqual([]);
  });

  test('gets no recovery codes', async () => {
    const { id, email, token } = await withTotp(far as TestService, by(opener));
    proxy.holdFrom('update\0\x0f\0\0\0recovery_codes');
    const late = by(opener)('POST', '/api/auth/factors/recovery-codes', { token });
    await eventually('the held command', () => proxy.isHolding());
    await resetByMail(email);
    proxy.pass();
    expect((await late).status).toBe(401);
    expect(
      await rows('recovery_codes').countDocuments({ _id: id, 'codes.0': { $exists: true } }),
    ).toBe(0);
  });

  test('a session that begins during the reset leaves nothing either', async () => {
    const { email, token } = await withPasskey(by(opener));
    const mailed = await resetToken(email);
    // The write that verifies the address: the removal was before it.
    proxy.holdFrom('findAndModify\0\x06\0\0\0users');
    const resetting = reset(mailed, opener);
    await eventually('the held command', () => proxy.isHolding());
    const logout = '/api/auth/logout?scope=global';
    expect((await by(owner)('POST', logout, { token })).status).toBe(204);
    const again = await login(by(owner), email, PASSWORD);
    const passkey = await passkeyPage(by(owner)).add(again);
    proxy.pass();
    expect((await resetting).status).toBe(204);
    expect(await usePasskey(passkey)).toBe(401);
    expect((await factorsAfter(email)).kinds).toEqual([]);
  });
});

test('after a reset that was refused in the end, the account can add a factor', async () => {
  const { user } = await register(by(opener));
  const mailed = await resetToken(user.email);
  proxy.holdFrom('findAndModify\0\x06\0\0\0users');
  const refused = reset(mailed, opener);
  await eventually('the held command', () => proxy.isHolding());
  const email = `moved-${user.email}`;
  const moved = { $set: { email, emailKey: email }, $inc: { rev: 1 } };
  await rows('users').updateOne({ email: user.email } as object, moved);
  proxy.pass();
  expect((await refused).status).toBe(400);
  const token = await login(by(owner), email, PASSWORD);
  expect((await addTotp(by(owner), token)).recoveryCodes.length).toBe(10);
});

test('a reset that ends before its last write has removed them, and its link still works', async () => {
  const { id, email, passkey } = await withPasskey(by(opener));
  const mailed = await resetToken(email);
  proxy.holdFrom('findAndModify\0\x06\0\0\0users');
  const cut = reset(mailed, opener).catch(() => undefined);
  await eventually('the held command', () => proxy.isHolding());
  expect(await usePasskey(passkey)).toBe(401);
  const row = await rows('users').findOne({ email } as object);
  expect([String(row?._id), (row as unknown as { emailVerified: boolean }).emailVerified]).toEqual([
    id,
    false,
  ]);
  expect((await reset(mailed)).status).toBe(204);
  proxy.pass();
  expect((await cut)?.status).toBe(400);
  await laterOn(near as TestService, id);
  expect((await signIn(by(owner), email, NEW_PASSWORD)).status).toBe(200);
});
