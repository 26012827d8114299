import { setTimeout as sleep } from 'node:timers/promises';
import type { Role } from '../../../src/kernel/permissions';
import { ALL_PERMISSIONS } from '../../../src/kernel/permissions';
import type { UserService } from '../../../src/modules/users/service';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, login, register, uniqueEmail } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { anyTime, lookAt } from '../../support/snapshots';
import { startUserHost, type UserHost } from '../../support/user-host';

/** What is decided on one read must not be carried out on what another write has made of it. */
describe('over HTTP, at the same time', () => {
  let service: TestService;
  let client: Client;
  const users = () => service.database.connection.collection('users');
  const activeAdmins = () => users().countDocuments({ role: 'admin', status: 'active' });
  const signIn = () => login(client, service.admin.email, service.admin.password);

  beforeAll(async () => {
    service = await startTestService({ NEAR_CACHE_TTL_MS: '0' });
    client = createClient(service.baseUrl, { unchecked: true });
  });
  afterAll(() => service?.close());

  /** One more moment before each of them, so that the steps of the three meet in every order. */
  const staggered = <T>(works: readonly (() => Promise<T>)[]) =>
    Promise.all(
      works.map(async (work) => {
        await sleep(Math.random() * 6);
        return work();
      }),
    );

  test('one is promoted, removed or banned while the only administrator steps down: one always remains', async () => {
    let token = await signIn();
    let done = 0;
    for (let round = 0; round < 25; round += 1) {
      const { user } = await register(client);
      const path = `/api/users/${user.id}`;
      const answers = await staggered([
        () => client('PATCH', path, { token, body: { role: 'admin' } }),
        () => client('DELETE', path, { token }),
        () =>
          client(round % 2 === 0 ? 'PATCH' : 'PUT', '/api/users/me', {
            token,
            body: stepDown(round),
          }),
      ]);
      done += answers.filter(({ status }) => status < 300).length;
      const statuses = answers.map(({ status }) => status);
      expect({ round, statuses, remain: (await activeAdmins()) > 0 }).toEqual({
        round,
        statuses,
        remain: true,
      });
      await users().updateOne({ emailKey: service.admin.email }, { $set: { role: 'admin' } });
      await users().deleteMany({ emailKey: { $ne: service.admin.email } });
      token = await signIn();
    }
    expect(done).toBeGreaterThan(25);
  }, 120_000);
  const stepDown = (round: number) =>
    round % 2 === 0
      ? { role: 'user' }
      : { name: 'Test Admin', email: service.admin.email, role: 'user' };

  test('a service account changes and removes nobody whose promotion came between', async () => {
    const token = await signIn();
    const body = { name: 'writer', scopes: ['users:write'] };
    const { id: client_id, client_secret } = (
      await client('POST', '/api/service-accounts', { token, body })
    ).json;
    const grant = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id,
      client_secret,
    });
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const service = (
      await client('POST', '/api/auth/token', { raw: grant.toString(), headers: form })
    ).json.access_token;
    const outcomes = new Map<string, number>();
    for (let round = 0; round < 60; round += 1) {
      const { user } = await register(client);
      const path = `/api/users/${user.id}`;
      const email = uniqueEmail('mallory');
      const removes = round % 2 === 0;
      const [promoted, touched] = await staggered([
        () => client('PATCH', path, { token, body: { role: 'admin' } }),
        () =>
          removes
            ? client('DELETE', path, { token: service })
            : client('PATCH', path, { token: service, body: { email } }),
      ]);
      const outcome = `${removes ? 'remove' : 'change'} ${promoted?.status} ${touched?.status}`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      // Removed after it was promoted; or promoted with its old address, which was changed after
      // that.
      const tookOver =
        touched !== undefined &&
        touched.status < 300 &&
        promoted?.status === 200 &&
        promoted.json.email !== email;
      expect([round, outcome, tookOver]).toEqual([round, outcome, false]);
    }
    // Both orders were seen.
    expect([...outcomes.keys()].some((one) => one.endsWith(' 403'))).toBe(true);
    expect(outcomes.size).toBeGreaterThan(2);
  }, 120_000);
});

describe('step by step', () => {
  let mongo: TestMongo;
  let slow: UserHost;
  let quick: UserHost;
  /**
   * What happens after the first look of the slow host, and after its question whether another
   * administrator exists.
   */
  let afterLook: (() => Promise<unknown>) | undefined;
  let afterQuestion: (() => Promise<unknown>) | undefined;

  beforeAll(async () => {
    mongo = await startTestMongo();
    slow = await startUserHost(mongo.uri, {
      lockTtlMs: 200,
      repository: (stored) => ({
        ...stored,
        async look(id, timeoutMs) {
          const seen = await stored.look(id, timeoutMs);
          const then = afterLook;
          afterLook = undefined;
          await then?.();
          return seen;
        },
        async otherAdminExists(...args) {
          const answer = await stored.otherAdminExists(...args);
          const then = afterQuestion;
          afterQuestion = undefined;
          await then?.();
          return answer;
        },
      }),
    });
    quick = await startUserHost(mongo.uri);
  });
  afterAll(async () => {
    await Promise.all([slow?.close(), quick?.close()]);
    await mongo?.close();
  });

  async function account(role: Role): Promise<string> {
    const id = quick.repository.newId();
    await quick.repository.insert(
      { id, email: uniqueEmail(), name: 'Ada', passwordHash: 'hash', role },
      new Date(),
    );
    return id;
  }
  const outcome = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
  const remove = async (id: string) =>
    quick.repository.remove(await lookAt(quick.repository, id), anyTime());
  const actor = { userId: '0'.repeat(24), permissions: ALL_PERMISSIONS };

  const ends: [string, (users: UserService, id: string) => Promise<unknown>][] = [
    ['removed', (users, id) => users.remove(actor, id, undefined)],
    ['banned', (users, id) => users.ban(actor, id, {})],
    ['demoted', (users, id) => users.change(actor, id, { role: 'user' }, undefined)],
  ];
  test.each(ends)(
    'who was looked at as a user, promoted, and is now the only administrator, is not %s',
    async (_how, end) => {
      const [first, user] = [await account('admin'), await account('user')];
      afterLook = async () => {
        await quick.users.change(actor, user, { role: 'admin' }, undefined);
        await quick.users.change(actor, first, { role: 'user' }, undefined);
      };
      expect(await outcome(end(slow.users, user))).toBe('last_admin');
      expect(await quick.repository.find(user)).toMatchObject({ role: 'admin', status: 'active' });
      await Promise.all([first, user].map(remove));
    },
  );

  test.each(ends)(
    'one of two administrators is not %s by who held the lock past its end, when the other has gone',
    async (_how, end) => {
      const [first, second] = [await account('admin'), await account('admin')];
      afterQuestion = async () => {
        await sleep(300);
        await quick.users.remove(actor, second, undefined);
      };
      expect(await outcome(end(slow.users, first))).toBe('last_admin');
      expect(await quick.repository.find(first)).toMatchObject({ role: 'admin', status: 'active' });
      await remove(first);
    },
  );

  test('a reset by the token of a mailbox that was left meanwhile sets no password', async () => {
    const id = await account('user');
    const { email } = await lookAt(quick.repository, id);
    afterLook = () => quick.users.change(actor, id, { email: uniqueEmail('new') }, undefined);
    expect(await slow.users.resetPassword(id, 'GIVEN-UP', { email, passwordHash: 'hash' })).toBe(
      false,
    );
    expect((await lookAt(quick.repository, id)).passwordHash).toBe('hash');
  });

  test('a change of the address that was confirmed before all sessions were ended is not made', async () => {
    const id = await account('user');
    const { email } = await lookAt(quick.repository, id);
    afterLook = () => quick.users.endSessions(id, {});
    expect(
      await slow.users.confirmEmail(id, uniqueEmail('thief'), {
        email,
        passwordHash: 'hash',
        sessionVersion: 1,
      }),
    ).toBe(false);
    expect((await lookAt(quick.repository, id)).email).toBe(email);
  });

  test.each([
    [
      'another address',
      (id: string) => quick.users.change(actor, id, { email: uniqueEmail('new') }),
    ],
    [
      'another password',
      (id: string) =>
        lookAt(quick.repository, id).then(({ email }) =>
          quick.users.setPassword(id, 'another hash', email),
        ),
    ],
    ['a ban', (id: string) => quick.users.ban(actor, id, {})],
  ])(
    'an address is not confirmed past %s that came after the password was found right',
    async (_what, meanwhile) => {
      const id = await account('user');
      const { email } = await lookAt(quick.repository, id);
      for (const target of [email, uniqueEmail('thief')]) {
        afterLook = () => meanwhile(id);
        expect(await slow.users.confirmEmail(id, target, { email, passwordHash: 'hash' })).toBe(
          false,
        );
      }
      expect(await quick.repository.find(id)).toMatchObject({ emailVerified: false });
      expect((await lookAt(quick.repository, id)).email).not.toMatch(/thief/);
    },
  );

  test('a password is not changed by a session, nor from a hash, that is no longer good', async () => {
    const id = await account('user');
    const keep = { sid: 'a'.repeat(24), ver: 1 };
    const { email } = await lookAt(quick.repository, id);
    afterLook = () => quick.users.setPassword(id, "the owner's", email);
    expect(await slow.users.changePassword(id, 'hash', "the thief's", keep)).toBe(false);
    afterLook = () => quick.users.endSessions(id, {});
    expect(
      await slow.users.changePassword(id, "the owner's", "the thief's", { ...keep, ver: 2 }),
    ).toBe(false);
    expect((await lookAt(quick.repository, id)).passwordHash).toBe("the owner's");
  });
});
