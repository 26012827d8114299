import { createDeadlines } from '../../../../src/kernel/deadline';
import { problems } from '../../../../src/kernel/errors';
import { eachWithin } from '../../../../src/modules/users/administration/bulk';
import { startTestService, type TestService } from '../../../support/app';
import { quiet } from '../../../support/cache-fixture';
import { type Client, createClient, login, register } from '../../../support/http';

const NOBODY = '652f1c3e9b1d4a0012ab34cd';

let service: TestService;
let client: Client;
let token: string;
let adminId: string;

beforeAll(async () => {
  service = await startTestService({
    ROLES: 'moderator=users:ban+users:write',
    // A hundred in one request take long on a busy machine.
    ...{ DB_OPERATION_TIMEOUT_MS: '10000', SOCKET_TIMEOUT_MS: '60000' },
    CACHE_WRITER_TTL_MS: '25000',
  });
  client = createClient(service.baseUrl);
  token = await login(client, service.admin.email, service.admin.password);
  adminId = (await client('GET', '/api/users/me', { token })).json.id;
});
afterAll(() => service?.close());

const users = () => service.database.connection.collection('users');
const account = async (role = 'user') => {
  const { user } = await register(client);
  if (role !== 'user') await client('PATCH', `/api/users/${user.id}`, { token, body: { role } });
  return user;
};
const send = (what: 'delete' | 'ban', body: object, by = token) =>
  client('POST', `/api/users/${what}`, { token: by, body });
const statusOf = async (id: string) => {
  const { status, json } = await client('GET', `/api/users/${id}`, { token });
  return status === 200 ? json.status : status;
};

test('each is decided by itself, and the outcomes come in the order of the ids', async () => {
  const [one, other] = [await account(), await account()];
  const ids = [one.id, NOBODY, adminId, other.id];
  const banned = await send('ban', { ids, reason: 'spam' });
  const outcomes = [
    { id: one.id, status: 204 },
    { id: NOBODY, status: 404, code: 'user_not_found' },
    { id: adminId, status: 409, code: 'own_account' },
    { id: other.id, status: 204 },
  ];
  expect([banned.status, banned.json.data]).toEqual([200, outcomes]);
  expect([await statusOf(one.id), await statusOf(other.id)]).toEqual(['banned', 'banned']);
  const removed = await send('delete', { ids });
  expect([removed.status, removed.json.data]).toEqual([200, outcomes]);
  expect([await statusOf(one.id), await statusOf(other.id)]).toEqual([404, 404]);
  expect(await statusOf(adminId)).toBe('active');
});

test('powers hold in each', async () => {
  const moderator = await account('moderator');
  const by = await login(client, moderator.email, 'correct horse battery');
  const user = await account();
  for (const what of ['ban', 'delete'] as const) {
    const { json } = await send(what, { ids: [adminId, user.id, moderator.id] }, by);
    expect(
      json.data.map(({ status, code }: { status: number; code?: string }) => code ?? status),
    ).toEqual(['exceeds_permissions', 204, 'own_account']);
  }
  expect(await statusOf(adminId)).toBe('active');
});

test.each(['ban', 'delete'] as const)(
  '%s of every administrator at once leaves one',
  async (what) => {
    const others = await Promise.all([account('admin'), account('admin'), account('admin')]);
    const by = await login(client, others[0]?.email ?? '', 'correct horse battery');
    const ids = [adminId, ...others.slice(1).map(({ id }) => id)];
    const { json } = await send(what, { ids: ids.filter((id) => id !== adminId) }, by);
    expect(json.data.map(({ status }: { status: number }) => status)).toEqual([204, 204]);
    expect(await users().countDocuments({ role: 'admin', status: 'active' })).toBe(2);
    await client('DELETE', `/api/users/${others[0]?.id}`, { token });
    await users().deleteMany({ role: 'admin', status: 'banned' });
  },
);

test('a hundred at once', async () => {
  const rows = Array.from({ length: 100 }, (_, i) => ({
    name: `Bulk ${i}`,
    email: `bulk-${i}@example.org`,
    password: 'correct horse battery',
  }));
  const ids: string[] = [];
  for (const body of rows) ids.push((await client('POST', '/api/users', { token, body })).json.id);
  const { json } = await send('ban', { ids, until: '2999-01-01T00:00:00Z' });
  expect(json.data).toEqual(ids.map((id) => ({ id, status: 204 })));
  expect((await send('delete', { ids: [...ids, NOBODY] })).json.errors[0]).toMatchObject({
    pointer: '/ids',
    code: 'too_big',
  });
  expect((await send('delete', { ids })).json.data).toEqual(json.data);
  expect(await users().countDocuments({ email: /^bulk-/ })).toBe(0);
});

test.each([
  [{ ids: [] }, '/ids', 'too_small'],
  [{ ids: ['x'] }, '/ids/0', 'wrong_format'],
  [{ ids: [NOBODY, NOBODY] }, '/ids/1', 'duplicate_item'],
  [{}, '/ids', 'required'],
  [{ ids: [NOBODY], all: true }, '/all', 'unknown_field'],
])('%j: 422', async (body, pointer, code) => {
  for (const what of ['ban', 'delete'] as const) {
    const { status, json } = await send(what, body);
    expect([status, json.errors[0]]).toMatchObject([422, { pointer, code }]);
  }
});

test('a time that has passed is refused for each', async () => {
  const user = await account();
  const { json } = await send('ban', { ids: [user.id], until: '2020-01-01T00:00:00Z' });
  expect(json.data).toEqual([{ id: user.id, status: 422, code: 'validation_failed' }]);
  expect(await statusOf(user.id)).toBe('active');
});

describe('within one deadline', () => {
  test('an item that was not begun in time is reported so, and is not begun', async () => {
    let clock = 0;
    const within = createDeadlines(100, () => clock)();
    const begun: string[] = [];
    const ids = Array.from({ length: 30 }, (_, i) => String(i));
    const outcomes = await eachWithin(ids, within, quiet, async (id) => {
      begun.push(id);
      await Promise.resolve();
      if (begun.length >= 15) clock = 200;
      if (id === '3') throw problems.conflict('last_admin', 'the last');
    });
    expect(outcomes.map(({ id }) => id)).toEqual(ids);
    const done = outcomes.filter(({ code }) => code !== 'not_attempted');
    expect(done.map(({ id }) => id).toSorted()).toEqual(begun.toSorted());
    expect(done.find(({ id }) => id === '3')).toEqual({ id: '3', status: 409, code: 'last_admin' });
    expect(outcomes.length - done.length).toBeGreaterThan(0);
  });

  test('at most ten at a time', async () => {
    let [now, most] = [0, 0];
    const ids = Array.from({ length: 40 }, (_, i) => String(i));
    await eachWithin(ids, createDeadlines(10_000)(), quiet, async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
    });
    expect(most).toBe(10);
  });
});
