import { setTimeout as sleep } from 'node:timers/promises';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const NOBODY = '652f1c3e9b1d4a0012ab34cd';

/** Two hosts on one database. */
let mongo: TestMongo;
let services: readonly TestService[];
let here: Client;
let there: Client;
let admin: string;
let adminId: string;

beforeAll(async () => {
  mongo = await startTestMongo();
  const settings = { ROLES: 'moderator=users:ban,root=users:ban+users:write' };
  services = [await startTestService(settings, mongo), await startTestService(settings, mongo)];
  [here, there] = services.map(({ baseUrl }) => createClient(baseUrl)) as [Client, Client];
  admin = await signIn('admin@example.org', 'admin of the tests');
  adminId = (await here('GET', '/api/users/me', { token: admin })).json.id;
});
afterAll(async () => {
  for (const service of services ?? []) await service.close();
  await mongo?.close();
});

const rows = (name: string) => {
  const collection = services[0]?.database.connection.collection(name);
  if (collection === undefined) throw new Error('no service');
  return collection;
};
const signIn = (email: string, password = PASSWORD) => login(here, email, password);
const loginAt = async (client: Client, email: string) =>
  (await client('POST', '/api/auth/login', { body: { email, password: PASSWORD } })).status;
const ban = (id: string, body: object = {}, headers = {}, token = admin) =>
  here('POST', `/api/users/${id}/ban`, { token, body, headers });
const unban = (id: string, token = admin) => here('POST', `/api/users/${id}/unban`, { token });
const shown = async (client: Client, id: string) =>
  (await client('GET', `/api/users/${id}`, { token: admin })).json;
const profile = async (client: Client, token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const later = (ms: number) => new Date(Date.now() + ms).toISOString();
const audited = (subject: string, type: string, more: object = {}) =>
  eventually(
    type,
    async () => (await rows('audit_events').findOne({ subject, type, ...more })) ?? false,
  );
async function withRole(role: string): Promise<{ id: string; token: string; email: string }> {
  const { user } = await register(here);
  await here('PATCH', `/api/users/${user.id}`, { token: admin, body: { role } });
  return { id: user.id, token: await signIn(user.email), email: user.email };
}

describe('a ban', () => {
  test('ends every session on every host at once, and refuses logins until it is lifted', async () => {
    const { user, access_token, refresh_token } = await register(here);
    expect(await profile(there, access_token)).toBe(200);
    const answer = await ban(user.id, { reason: 'spam' });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ status: 'banned', ban: { until: null, reason: 'spam' } });
    expect(await shown(there, user.id)).toEqual(answer.json);
    for (const client of [here, there]) {
      expect(await profile(client, access_token)).toBe(401);
      expect(await loginAt(client, user.email)).toBe(401);
    }
    const refreshed = await there('POST', '/api/auth/refresh', { body: { refresh_token } });
    expect(refreshed.status).toBe(401);
    expect(await audited(user.id, 'account_banned')).toMatchObject({
      ...{ actor: adminId, note: 'spam', result: 'success' },
    });
    const lifted = await unban(user.id);
    expect(lifted.json).toMatchObject({ status: 'active', ban: null });
    expect(await audited(user.id, 'account_unbanned')).toMatchObject({ actor: adminId });
    // What the ban has ended stays ended.
    expect(await profile(there, access_token)).toBe(401);
    expect(await loginAt(there, user.email)).toBe(200);
  });

  test('of a banned user changes its end and reason; the same again changes nothing', async () => {
    const { user } = await register(here);
    const until = later(3_600_000);
    await ban(user.id, { reason: 'spam' });
    const changed = await ban(user.id, { until, reason: 'abuse' });
    expect(changed.json.ban).toEqual({ until, reason: 'abuse' });
    const again = await ban(user.id, { until, reason: 'abuse' });
    expect(again.headers.get('etag')).toBe(changed.headers.get('etag'));
    expect((await ban(user.id)).json.ban).toEqual({ until: null, reason: null });
    await audited(user.id, 'account_banned', { reason: `until ${until}` });
    const subject = user.id;
    const bans = () => rows('audit_events').countDocuments({ subject, type: 'account_banned' });
    await eventually('three events', async () => (await bans()) >= 3);
    await here('POST', `/api/users/${subject}/unban`, { token: admin });
    await audited(subject, 'account_unbanned');
    expect(await bans()).toBe(3);
  });

  test.each([
    ['without anything', { until: null, reason: null }],
    ['with an end and a reason', { until: '2999-01-01T00:00:00.000Z', reason: 'spam' }],
  ])('can be sent as it is shown: %s', async (_what, shown) => {
    const { user } = await register(here);
    const { status, json } = await ban(user.id, shown);
    expect([status, json.ban]).toEqual([200, shown]);
  });

  test('and its lifting are conditional', async () => {
    const { user } = await register(here);
    const stale = { 'if-match': `"${user.id}.99"` };
    expect((await ban(user.id, {}, stale)).json.code).toBe('precondition_failed');
    const etag = (await here('GET', `/api/users/${user.id}`, { token: admin })).headers.get('etag');
    expect((await ban(user.id, {}, { 'if-match': etag ?? '' })).status).toBe(200);
  });

  test.each([
    [{ until: '2020-01-01T00:00:00Z' }, '/until', 'not_in_future'],
    [{ until: 'tomorrow' }, '/until', 'wrong_format'],
    [{ until: 1 }, '/until', 'wrong_type'],
    [{ reason: '' }, '/reason', 'too_short'],
    [{ reason: 'x'.repeat(501) }, '/reason', 'too_long'],
    [{ untl: null }, '/untl', 'unknown_field'],
  ])('with %j: 422', async (body, pointer, code) => {
    const { user } = await register(here);
    const { status, json } = await ban(user.id, body);
    expect([status, json.errors?.[0]]).toMatchObject([422, { pointer, code }]);
    expect((await shown(here, user.id)).status).toBe('active');
  });

  test('with an offset is the same moment', async () => {
    const { user } = await register(here);
    const { json } = await ban(user.id, { until: '2999-01-01T02:00:00+02:00' });
    expect(json.ban.until).toBe('2999-01-01T00:00:00.000Z');
  });

  test('never of oneself, of nobody, nor of the last administrator', async () => {
    expect((await ban(adminId)).json.code).toBe('own_account');
    expect((await ban(NOBODY)).json.code).toBe('user_not_found');
    const other = await withRole('admin');
    expect((await ban(adminId, {}, {}, other.token)).status).toBe(200);
    expect((await ban(other.id, {}, {}, other.token)).json.code).toBe('own_account');
    expect((await unban(adminId, other.token)).status).toBe(200);
    admin = await signIn('admin@example.org', 'admin of the tests');
    expect((await ban(other.id)).status).toBe(200);
    await here('DELETE', `/api/users/${other.id}`, { token: admin });
  });

  test('never of an account that may do more; nor by an old login', async () => {
    const moderator = await withRole('moderator');
    const root = await withRole('root');
    const user = (await register(here)).user;
    const send = (id: string, token: string) => ban(id, {}, {}, token);
    expect((await send(adminId, moderator.token)).json.code).toBe('exceeds_permissions');
    expect((await send(root.id, moderator.token)).json.code).toBe('exceeds_permissions');
    // `users:ban` alone reads nobody.
    const done = await send(user.id, moderator.token);
    expect([done.status, done.text]).toEqual([204, '']);
    expect((await send(moderator.id, root.token)).status).toBe(204);
    await rows('sessions').updateMany(
      { userId: root.id },
      { $set: { createdAt: new Date(Date.now() - 86_400_000) } },
    );
    const old = await send(user.id, root.token);
    expect([old.status, old.json.code]).toEqual([401, 'insufficient_user_authentication']);
  });
});

describe('a ban that ends by itself', () => {
  const BAN_MS = 1500;

  async function banned(ms = BAN_MS) {
    const { user, access_token } = await register(here);
    const until = later(ms);
    const answer = await ban(user.id, { until, reason: 'spam' });
    expect([answer.status, answer.json.ban]).toEqual([200, { until, reason: 'spam' }]);
    const over = () => sleep(Math.max(0, Date.parse(until) - Date.now()));
    return { user, access_token, until, over };
  }

  test('is over with its time: reads, lists, logins and the audit log', async () => {
    const { user, access_token, over } = await banned();
    for (const client of [here, there]) {
      expect((await shown(client, user.id)).status).toBe('banned');
      expect(await loginAt(client, user.email)).toBe(401);
    }
    await over();
    await sleep(5);
    for (const client of [there, here])
      expect(await shown(client, user.id)).toMatchObject({ status: 'active', ban: null });
    expect(await profile(there, access_token)).toBe(401);
    expect(await loginAt(there, user.email)).toBe(200);
    expect(await audited(user.id, 'account_unbanned')).toMatchObject({ reason: 'expired' });
    await sleep(100);
    expect(
      await rows('audit_events').countDocuments({ subject: user.id, type: 'account_unbanned' }),
    ).toBe(1);
  });

  test('the list says so without any read of the user', async () => {
    const { user, over } = await banned();
    const path = `/api/users?email=${user.email}`;
    const inList = async () => (await there('GET', path, { token: admin })).json.data[0].status;
    expect(await inList()).toBe('banned');
    await over();
    await eventually('the list', async () => (await inList()) === 'active', 1000);
  });

  /** Over, and no process has lifted it yet. */
  async function notLifted() {
    const { user } = await register(here);
    const { ObjectId } = mongoTypes();
    await ban(user.id, { until: later(3_600_000) });
    const _id = new ObjectId(user.id);
    const past = new Date(Date.now() - 1000);
    await rows('users').updateOne({ _id }, { $set: { bannedUntil: past } });
    const status = async () => (await rows('users').findOne({ _id }))?.['status'];
    return { user, status };
  }
  const mongoTypes = () => {
    const types = services[0]?.database.connection.base.mongo;
    if (types === undefined) throw new Error('no service');
    return types;
  };

  test('a login lifts a ban that no process has lifted, and its answer says so', async () => {
    const { user } = await notLifted();
    const { status, json } = await there('POST', '/api/auth/login', {
      body: { email: user.email, password: PASSWORD },
    });
    expect([status, json.user.status]).toEqual([200, 'active']);
    expect(await profile(here, json.access_token)).toBe(200);
  });

  test('so does a change of the user', async () => {
    const { user, status } = await notLifted();
    const path = `/api/users/${user.id}`;
    const answer = await there('PATCH', path, { token: admin, body: { name: 'Ada King' } });
    expect(answer.json).toMatchObject({ name: 'Ada King', status: 'active', ban: null });
    expect(await status()).toBe('active');
  });

  test('a new ban of such a user is a ban', async () => {
    const { user, status } = await notLifted();
    expect((await ban(user.id)).json).toMatchObject({ status: 'banned', ban: { until: null } });
    expect(await status()).toBe('banned');
  });
});
