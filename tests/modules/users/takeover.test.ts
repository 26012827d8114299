import bcrypt from 'bcrypt';
import { createUserModel } from '../../../src/modules/users/model';
import { createUserRepository } from '../../../src/modules/users/repository';
import { MAX_REVOKED } from '../../../src/modules/users/session-revocation';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../support/http';
import { startTestSmtp, type TestSmtp } from '../../support/smtp';
import { anyTime, lookAt } from '../../support/snapshots';

/**
 * Ways in which who once had a password, a session or a mailbox might stay in an account that its
 * owner has taken back.
 */
let smtp: TestSmtp;
let service: TestService;
let client: Client;

const OTHER_PASSWORD = 'another horse battery';
const OWNERS_PASSWORD = 'the password of the owner';
const ownersHash = bcrypt.hashSync(OWNERS_PASSWORD, 4);

beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({
    SMTP_URL: smtp.url,
    HASH_CONCURRENCY: '1',
    BCRYPT_COST: '10',
    SESSIONS_PER_USER: '1',
  });
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const post = (path: string, body: unknown, token?: string) =>
  client('POST', `/api/auth/${path}`, { body, ...(token === undefined ? {} : { token }) });
const changePassword = (token: string, from: string, to: string) =>
  client('PATCH', '/api/auth/password', {
    token,
    body: { current_password: from, new_password: to },
  });
const tokenIn = (text: string) => /The token is: ([A-Za-z0-9_-]{43})\n/.exec(text)?.[1] as string;
const profileStatus = async (token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const users = () => service.database.connection.collection('users');
const stored = (email: string) => users().findOne({ emailKey: email });

async function moveByAdmin(id: string, email: string) {
  const token = await login(client, service.admin.email, service.admin.password);
  return client('PATCH', `/api/users/${id}`, { token, body: { email } });
}
async function account() {
  const email = uniqueEmail('takeover');
  return { email, ...(await register(client, { email })) };
}
async function mailed(to: string, subject: RegExp, ask: () => Promise<{ status: number }>) {
  const from = smtp.mails.length;
  expect((await ask()).status).toBe(202);
  return tokenIn((await smtp.waitFor(to, subject, from)).text);
}
const resetToken = (email: string) =>
  mailed(email, /Set a new password/, () => post('password/forgot', { email }));
const changeToken = (token: string, new_email: string) =>
  mailed(new_email, /Confirm your new/, () =>
    post('email/change', { new_email, current_password: PASSWORD }, token),
  );

const queued = async () =>
  Number(/^auth_hash_queue_length (\d+)$/m.exec(await service.metrics.metrics())?.[1]);

/**
 * Starts `work`; while its password check waits behind others, the owner sets a new password on
 * another host.
 */
async function whileTakenBack<T>(email: string, work: () => Promise<T>): Promise<T> {
  const busy = Array.from({ length: 10 }, () =>
    post('login', { email: uniqueEmail(), password: PASSWORD }),
  );
  await eventually('the queue', async () => (await queued()) >= 6);
  const waiting = work();
  // It has looked at the account, and the checks before it take longer.
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await queued()).toBeGreaterThan(0);
  await users().updateOne(
    { emailKey: email },
    {
      $set: { passwordHash: ownersHash, revokedSessions: [] },
      $unset: { keptSession: 1 },
      $inc: { sessionVersion: 1 },
    },
  );
  await Promise.all(busy);
  return waiting;
}

describe('a password that is replaced while it is checked', () => {
  test('opens no session', async () => {
    const { email } = await account();
    const { json } = await whileTakenBack(email, () =>
      post('login', { email, password: PASSWORD }),
    );
    expect(await profileStatus(json.access_token ?? 'none')).toBe(401);
    expect((await post('refresh', { refresh_token: json.refresh_token ?? 'none' })).status).toBe(
      401,
    );
  });

  test('changes no password', async () => {
    const { email, access_token } = await account();
    const { status } = await whileTakenBack(email, () =>
      changePassword(access_token, PASSWORD, OTHER_PASSWORD),
    );
    expect(status).toBeGreaterThanOrEqual(400);
    expect(await stored(email)).toMatchObject({ passwordHash: ownersHash, sessionVersion: 2 });
    expect(await profileStatus(access_token)).toBe(401);
  });
});

describe('a session that was ended', () => {
  const repository = () =>
    createUserRepository(createUserModel(service.database.connection), { timeoutMs: 2000 });
  const keep = { sid: 'a'.repeat(24), ver: 1 };
  const revoke = (id: string, sids: readonly string[], kept?: typeof keep) =>
    repository().revokeSessions(anyTime(), {
      now: new Date(),
      id,
      sids,
      until: new Date(Date.now() + 900_000),
      keep: kept,
    });
  const endAll = async (id: string, kept?: typeof keep) =>
    repository().endSessions(await lookAt(repository(), id), anyTime(), {
      keep: kept,
      now: new Date(),
    });
  const ends = [
    ['by a new password', (id: string) => endAll(id)],
    ['by itself', (id: string) => revoke(id, [keep.sid])],
    ['as one of the others', (id: string) => endAll(id, { sid: 'b'.repeat(24), ver: 1 })],
  ] as const;

  test.each(ends)(
    '%s does not come back by ending the others in the same moment',
    async (_how, end) => {
      const { user, email } = await account();
      await end(user.id);
      const seen = await lookAt(repository(), user.id);
      expect(await repository().endSessions(seen, anyTime(), { keep, now: new Date() })).toBe(
        false,
      );
      const options = { endSessions: { keep }, now: new Date() };
      expect(
        await repository().update(seen, anyTime(), { passwordHash: ownersHash }, options),
      ).toBeNull();
      expect((await stored(email))?.['keptSession']?.sid).not.toBe(keep.sid);
    },
  );

  test('is not kept when a login that was under way ends the oldest', async () => {
    const { user, email } = await account();
    const many = Array.from({ length: MAX_REVOKED }, (_, i) => String(i).padStart(24, '0'));
    await endAll(user.id);
    await revoke(user.id, many);
    await revoke(user.id, ['c'.repeat(24)], keep);
    expect(await stored(email)).toMatchObject({ sessionVersion: 3, revokedSessions: [] });
    expect((await stored(email))?.['keptSession']).toBeUndefined();
  });
});

test('every login gives tokens that are good, however many there were before', async () => {
  const { email } = await account();
  const until = new Date(Date.now() + 900_000);
  const revokedSessions = Array.from({ length: MAX_REVOKED - 2 }, (_, i) => ({
    sid: String(i).padStart(24, '0'),
    until,
  }));
  await users().updateOne({ emailKey: email }, { $set: { revokedSessions } });
  for (let i = 0; i < 6; i += 1) {
    const { json } = await post('login', { email, password: PASSWORD });
    expect([i, await profileStatus(json.access_token)]).toEqual([i, 200]);
  }
});

describe('a mailed token', () => {
  test('to a new address ends with the password that asked for it: changed', async () => {
    const { email, access_token } = await account();
    const evil = uniqueEmail('evil');
    const token = await changeToken(access_token, evil);
    expect((await changePassword(access_token, PASSWORD, OTHER_PASSWORD)).status).toBe(200);
    expect((await post('email/verify', { token, current_password: OTHER_PASSWORD })).status).toBe(
      400,
    );
    expect([await stored(evil), (await stored(email)) !== null]).toEqual([null, true]);
  });

  test('to a new address ends with the password that asked for it: also when it was mailed in the moment of the change', async () => {
    const { email, access_token } = await account();
    const token = await changeToken(access_token, uniqueEmail('evil'));
    await users().updateOne(
      { emailKey: email },
      { $set: { passwordHash: ownersHash }, $inc: { sessionVersion: 1 } },
    );
    expect((await post('email/verify', { token, current_password: PASSWORD })).status).toBe(422);
    expect((await post('email/verify', { token, current_password: OWNERS_PASSWORD })).status).toBe(
      400,
    );
    expect(await stored(email)).not.toBeNull();
  });

  test('to an address that is no longer the account’s sets no password', async () => {
    const { email, user } = await account();
    const token = await resetToken(email);
    const next = uniqueEmail('next');
    expect((await moveByAdmin(user.id, next)).status).toBe(200);
    const answer = await post('password/reset', { token, new_password: OTHER_PASSWORD });
    expect([answer.status, answer.json.code]).toEqual([400, 'invalid_mail_token']);
    expect((await post('login', { email: next, password: PASSWORD })).status).toBe(200);
  });

  test('to set a password ends when the password is changed', async () => {
    const { email, access_token } = await account();
    const token = await resetToken(email);
    expect((await changePassword(access_token, PASSWORD, OTHER_PASSWORD)).status).toBe(200);
    expect((await post('password/reset', { token, new_password: PASSWORD })).status).toBe(400);
  });
});

test('an address that a change without a mail removes gets a notice', async () => {
  const { email, user } = await account();
  const from = smtp.mails.length;
  expect((await moveByAdmin(user.id, uniqueEmail('next'))).status).toBe(200);
  await smtp.waitFor(email, /address was changed/, from);
});

test('no entity tag stands for two users: a browser does not show one the answer of the other', async () => {
  const one = await account();
  const other = await account();
  for (const path of ['/api/auth/profile', '/api/users/me']) {
    const etag = (await client('GET', path, { token: one.access_token })).headers.get(
      'etag',
    ) as string;
    const answer = await client('GET', path, {
      token: other.access_token,
      headers: { 'if-none-match': etag },
    });
    expect([path, answer.status, answer.json?.email]).toEqual([path, 200, other.email]);
    const change = await client('PATCH', '/api/users/me', {
      token: other.access_token,
      body: { name: 'X' },
      headers: { 'if-match': etag },
    });
    expect(change.status).toBe(412);
  }
});
