import { setTimeout as pause } from 'node:timers/promises';
import { createOwnFactors } from '../../../../src/modules/auth/factors/own-factors';
import { createTotpStore } from '../../../../src/modules/auth/factors/totp-store';
import { createPasskeyStore } from '../../../../src/modules/auth/passkeys/passkey-store';
import { NO_CLIENT } from '../../../../src/platform/http/client-info';
import { createLocks, type Locks } from '../../../../src/platform/mongo/locks';
import { startTestService, type TestService } from '../../../support/app';
import { appOf, firstStep, verify, withTotp } from '../../../support/factors';
import { type Client, createClient, login, PASSWORD, register } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { PASSKEY_SETTINGS, passkeyPage } from '../../../support/passkeys';

let mongo: TestMongo;
let service: TestService;
let client: Client;
beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startTestService(PASSKEY_SETTINGS, mongo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
});

const rows = (name: string) => service.database.connection.collection(name);

/**
 * While `work` runs, the database refuses to end a step-up of the user's sessions, as if the host
 * had stopped there: an index allows one of them, and has it.
 */
async function withoutEnds<T>(userId: string, work: () => Promise<T>): Promise<T> {
  const sessions = rows('sessions');
  const until = new Date(Date.now() + 60_000);
  const { insertedId: _id } = await sessions.insertOne({ userId, stepUpEnded: true, until });
  const ofOne = { unique: true, partialFilterExpression: { userId, stepUpEnded: true } };
  const index = await sessions.createIndex({ userId: 1, stepUpEnded: 1 }, ofOne);
  try {
    return await work();
  } finally {
    await sessions.dropIndex(index);
    await sessions.deleteOne({ _id });
  }
}

const factorsOf = async (token: string) =>
  (await client('GET', '/api/auth/factors', { token })).json.data as { kind: string }[];
const kindsOf = async (token: string) => (await factorsOf(token)).map(({ kind }) => kind);
/** Whether a session may change factors: it is recent, and has the factor if there is one. */
const mayChange = async (token: string) =>
  (await client('POST', '/api/auth/factors/totp', { token, body: {} })).status === 201;

/** An account with an app, and a second session that has given it. */
async function twoSessions() {
  const account = await withTotp(service, client);
  const pending = await firstStep(client, account.email);
  const other = await verify(client, pending, account.app());
  expect(other.status).toBe(200);
  return { ...account, other: other.json.access_token as string };
}

test('no app is added where the step-ups of other sessions cannot be ended', async () => {
  const { user, access_token: token } = await register(client);
  const other = await login(client, user.email, PASSWORD);
  const enrolment = await client('POST', '/api/auth/factors/totp', { token, body: {} });
  const body = { code: appOf(enrolment.json.otpauth_uri)() };
  const confirm = () => client('POST', '/api/auth/factors/totp/confirm', { token, body });
  await withoutEnds(user.id, () => expect(confirm()).rejects.toThrow('internal error'));
  expect(await kindsOf(token)).toEqual([]);
  expect((await confirm()).status).toBe(200);
  expect(await mayChange(other)).toBe(false);
});

test('no passkey is added there either', async () => {
  const { user, access_token: token } = await register(client);
  await login(client, user.email, PASSWORD);
  await withoutEnds(user.id, () =>
    expect(passkeyPage(client).add(token)).rejects.toThrow('internal error'),
  );
  expect(await kindsOf(token)).toEqual([]);
});

test('no factor is removed, nor are codes replaced, where they cannot be ended', async () => {
  const { id, token, factorId, other } = await twoSessions();
  const remove = () => client('DELETE', `/api/auth/factors/${factorId}`, { token });
  const replace = () => client('POST', '/api/auth/factors/recovery-codes', { token });
  const before = await factorsOf(token);
  for (const change of [remove, replace])
    await withoutEnds(id, () => expect(change()).rejects.toThrow('internal error'));
  expect(await factorsOf(token)).toEqual(before);
  expect((await remove()).status).toBe(204);
  expect([await kindsOf(token), await mayChange(other)]).toEqual([[], false]);
});

/** The factors of an account with an app, under these locks. */
async function ownFactors(locks: (of: ReturnType<typeof createLocks>) => Partial<Locks>) {
  const { connection } = service.database;
  const account = await withTotp(service, client);
  const store = createTotpStore(connection, { timeoutMs: 2000, now: Date.now });
  const kind = {
    ...{ kind: 'totp', isPrimary: true, remove: store.remove },
    list: async (userId: string) =>
      (await store.confirmedOf(userId)).map(({ _id: id }) => ({ id, kind: 'totp' })),
  };
  const announced: object[] = [];
  const own = createOwnFactors({
    kinds: [kind],
    policy: { general: 'optional', roles: {} },
    locks: locks(createLocks(connection, { ttlMs: 1, timeoutMs: 2000 })),
    changes: {
      changing: () => pause(20),
      announceRemoval: (removed: string, change: object) => announced.push({ removed, ...change }),
    },
  } as never);
  const current = { userId: account.id, sid: 'a', ver: 0 };
  const remove = () => own.remove(current, 'user', account.factorId, NO_CLIENT);
  return { ...account, remove, announced };
}

test('a removal whose lock expires removes nothing, and says so', async () => {
  const { token, remove, announced } = await ownFactors((locks) => locks);
  await expect(remove()).rejects.toMatchObject({ status: 503, code: 'busy' });
  expect([await kindsOf(token), announced]).toEqual([['totp', 'recovery_code'], []]);
});

test('a removal is announced before anything that a host may not live to do (planted: after the lock)', async () => {
  const {
    id: userId,
    token,
    remove,
    announced,
  } = await ownFactors(() => ({
    // The host stops where it would release the lock.
    withLock: async (_name, work) => {
      await work(new Date(Date.now() + 60_000));
      throw new Error('stopped');
    },
  }));
  await expect(remove()).rejects.toThrow('stopped');
  expect(await kindsOf(token)).not.toContain('totp');
  const by = { session: 'a', actor: userId, client: NO_CLIENT };
  expect(announced).toEqual([{ removed: 'totp', userId, ...by }]);
});

test('a removal of a passkey past its time is none', async () => {
  const { user, access_token: token } = await register(client);
  const { passkeyId: id } = await passkeyPage(client).add(token);
  const store = createPasskeyStore(service.database.connection, { timeoutMs: 2000, now: Date.now });
  const until = new Date(Date.now() - 1000);
  expect(await store.remove(user.id, id, { keepsOne: false, until })).toBe('late');
  expect(await store.remove(user.id, id, { keepsOne: true, until })).toBe('last');
  expect(await kindsOf(token)).toContain('passkey');
});

describe('a removal that stopped after the change is completed by its repeat', () => {
  test.each([
    ['of a factor', (id: string) => `/api/auth/factors/${id}`],
    ['of a passkey', (id: string) => `/api/auth/passkeys/${id}`],
  ])('%s', async (_, path) => {
    const { id, email, token, factorId, other } = await twoSessions();
    await firstStep(client, email);
    await rows('factors').deleteMany({ userId: id });
    expect(await mayChange(other)).toBe(true);
    expect((await client('DELETE', path(factorId), { token })).status).toBe(404);
    expect([await mayChange(other), await mayChange(token)]).toEqual([false, true]);
    expect(await rows('mfa_tokens').countDocuments({ userId: id })).toBe(0);
    expect(await kindsOf(token)).toEqual([]);
  });

  test('of all by an administrator', async () => {
    const { id, other } = await twoSessions();
    await rows('factors').deleteMany({ userId: id });
    await rows('recovery_codes').deleteMany({ _id: id as never });
    const admin = await login(client, service.admin.email, service.admin.password);
    const reset = await client('DELETE', `/api/users/${id}/factors`, { token: admin });
    expect([reset.status, await mayChange(other)]).toEqual([204, false]);
  });
});
