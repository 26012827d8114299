import bcrypt from 'bcrypt';
import { createClient as connectRedis } from 'redis';
import { prepareDatabase } from '../../src/app/prepare';
import { parseConfig } from '../../src/kernel/config/config';
import type { Role } from '../../src/kernel/permissions';
import { createUserModel } from '../../src/modules/users/model';
import { createUserRepository } from '../../src/modules/users/repository';
import type { Logger } from '../../src/platform/telemetry/logger';
import { startTestService, type TestService } from '../support/app';
import { type Client, createClient, login, PASSWORD, uniqueEmail } from '../support/http';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { describeWithRedis, startTestRedis, type TestRedis } from '../support/redis';

const passwordHash = bcrypt.hashSync(PASSWORD, 4);
const ROLES = [
  'lead=users:read+users:write+roles:assign',
  'editor=users:write',
  'auditor=audit:read',
  'manager=service_accounts:manage+users:read',
  'premium=',
].join();

async function accountIn(service: TestService, role: Role) {
  const users = createUserModel(service.database.connection);
  const repository = createUserRepository(users, { timeoutMs: 2000 });
  const [id, email] = [repository.newId(), uniqueEmail(role)];
  await repository.insert({ id, email, name: 'Ada', passwordHash, role }, new Date());
  const client = createClient(service.baseUrl, { unchecked: true });
  return { id, email, token: await login(client, email, PASSWORD) };
}

describe('roles of ROLES', () => {
  let service: TestService;
  let client: Client;
  let mongo: TestMongo;
  beforeAll(async () => {
    mongo = await startTestMongo();
    service = await startTestService({ ROLES, NEAR_CACHE_TTL_MS: '2' }, mongo);
    client = createClient(service.baseUrl);
  });
  afterAll(async () => {
    await service?.close();
    await mongo?.close();
  });
  const account = (role: Role) => accountIn(service, role);
  const outcome = async (...request: Parameters<Client>) => {
    const { status, json } = await client(...request);
    return status < 300 ? status : `${status} ${json?.code}`;
  };

  test('are accepted in requests, a filter of the list, and named in the document', async () => {
    const { token } = await account('admin');
    const premium = await account('premium');
    const { json } = await client('GET', '/api/users?role=premium', { token });
    expect(json.data.map(({ id, role }: { id: string; role: Role }) => [id, role])).toEqual([
      [premium.id, 'premium'],
    ]);
    expect(await outcome('GET', '/api/users?role=boss', { token })).toBe('400 invalid_query');
    expect(
      await outcome('PATCH', `/api/users/${premium.id}`, { token, body: { role: 'boss' } }),
    ).toBe('422 validation_failed');
    const document = (await client('GET', '/openapi.json')).text;
    const enums = [...document.matchAll(/"enum":\["user","support","admin"([^\]]*)\]/g)];
    expect(enums.length).toBe(2);
    for (const [, more] of enums)
      expect(more).toBe(',"lead","editor","auditor","manager","premium"');
    // What was read can be sent back: there the role is a string, and its description names them.
    const named = 'The role: user, support, admin, lead, editor, auditor, manager, premium.';
    // PUT, and PATCH in two media types.
    expect(document.split(named).length - 1).toBe(3);
  });

  test.each([
    ['admin', 'user', 'lead', 200],
    ['admin', 'user', 'admin', 200],
    ['lead', 'user', 'lead', 200],
    ['lead', 'lead', 'user', 200],
    ['lead', 'user', 'premium', 200],
    ['lead', 'user', 'auditor', '403 role_change_forbidden'],
    ['lead', 'user', 'admin', '403 role_change_forbidden'],
    ['lead', 'auditor', 'user', '403 exceeds_permissions'],
    ['lead', 'admin', 'user', '403 exceeds_permissions'],
    ['editor', 'user', 'premium', '403 role_change_forbidden'],
    ['editor', 'premium', 'user', '403 role_change_forbidden'],
    ['support', 'user', 'premium', '403 forbidden'],
  ])(
    '%s gives another account with the role %s the role %s: %s',
    async (by, from, to, expected) => {
      const [actor, target] = [await account(by), await account(from)];
      const request = { token: actor.token, body: { role: to } };
      expect(await outcome('PATCH', `/api/users/${target.id}`, request)).toBe(expected);
      const body = { name: 'Ada', email: target.email, role: to };
      const put = await outcome('PUT', `/api/users/${target.id}`, { token: actor.token, body });
      expect(put).toBe(expected);
      const sessions = await outcome('GET', '/api/auth/profile', { token: target.token });
      expect(sessions).toBe(expected === 200 ? '401 invalid_token' : 200);
    },
  );

  test.each([
    ['lead', 'premium', 201],
    ['lead', 'lead', 201],
    ['lead', 'auditor', '403 role_change_forbidden'],
    ['lead', 'admin', '403 role_change_forbidden'],
    ['editor', 'user', 201],
    ['editor', 'premium', '403 role_change_forbidden'],
    ['support', 'user', '403 forbidden'],
  ])('%s creates an account with the role %s: %s', async (by, role, expected) => {
    const { token } = await account(by);
    const body = { name: 'New', email: uniqueEmail(), password: 'a password of my own', role };
    expect(await outcome('POST', '/api/users', { token, body })).toBe(expected);
  });

  test('nobody raises the own role; everybody may lower it who may give roles', async () => {
    for (const role of ['user', 'support', 'editor', 'lead', 'premium'] as const) {
      const { token } = await account(role);
      const body = { role: 'admin' };
      expect([role, await outcome('PATCH', '/api/users/me', { token, body })]).toEqual([
        role,
        '403 role_change_forbidden',
      ]);
    }
    const { token } = await account('lead');
    expect(await outcome('PATCH', '/api/users/me', { token, body: { role: 'user' } })).toBe(200);
  });

  test('a write without users:read answers without the user, unless it is the own account', async () => {
    const [editor, target] = [await account('editor'), await account('user')];
    const request = { token: editor.token, body: { name: 'Renamed' } };
    const other = await client('PATCH', `/api/users/${target.id}`, request);
    expect([other.status, other.text]).toEqual([204, '']);
    // The whole entity tag would tell the time of the last login.
    expect(other.headers.get('etag')).toMatch(new RegExp(`^"${target.id}\\.\\d+"$`));
    const read = await client('GET', `/api/users/${target.id}`, { token: target.token });
    for (const [member, value] of Object.entries(read.json)) {
      if (
        !['email_verified', 'status', 'created_at', 'updated_at', 'last_login_at'].includes(member)
      )
        continue;
      // Right or wrong, the answer is the same.
      const guess = await client('PATCH', `/api/users/${target.id}`, {
        ...{ token: editor.token, body: { [member]: value } },
      });
      expect([member, guess.status]).toEqual([member, 422]);
    }
    const own = await client('PATCH', `/api/users/${editor.id}`, request);
    expect([own.status, own.json?.name]).toEqual([200, 'Renamed']);
  });

  test('a service account gets no scope that its creator lacks', async () => {
    const { token } = await account('manager');
    const create = (scopes: string[]) =>
      outcome('POST', '/api/service-accounts', { token, body: { name: 'Theirs', scopes } });
    expect(await create(['users:read', 'users:write'])).toBe('403 exceeds_permissions');
    expect(await create(['users:read'])).toBe(201);
    expect(await create(['service_accounts:manage'])).toBe('422 validation_failed');
  });

  test('an old login with permissions changes no role and no address of others', async () => {
    const [actor, target] = [await account('lead'), await account('user')];
    await service.database.connection
      .collection('sessions')
      .updateMany({ userId: actor.id }, { $set: { createdAt: new Date(Date.now() - 3_600_000) } });
    for (const body of [{ role: 'premium' }, { email: uniqueEmail() }])
      expect(await outcome('PATCH', `/api/users/${target.id}`, { token: actor.token, body })).toBe(
        '401 insufficient_user_authentication',
      );
  });

  test('a role that the setting does not name gives nothing, is shown, and only admin acts on it', async () => {
    const ghost = await account('ghost');
    const { token } = ghost;
    const profile = await client('GET', '/api/auth/profile', { token });
    expect([profile.status, profile.json.role]).toEqual([200, 'ghost']);
    expect(await outcome('PATCH', '/api/users/me', { token, body: { name: 'Boo' } })).toBe(200);
    for (const path of ['/api/users', '/api/audit-events', '/api/service-accounts'])
      expect([path, await outcome('GET', path, { token })]).toEqual([path, '403 forbidden']);
    const rename = async (role: Role) => {
      const by = await account(role);
      const body = { name: 'Caught' };
      return outcome('PATCH', `/api/users/${ghost.id}`, { token: by.token, body });
    };
    expect([await rename('lead'), await rename('admin')]).toEqual(['403 exceeds_permissions', 200]);
  });

  test('the answer of GET can be sent back where the account has a role that left the setting', async () => {
    const other = await startTestService({ ROLES: `${ROLES},retired=` }, mongo);
    try {
      const [admin, target] = [await account('admin'), await account('user')];
      const path = `/api/users/${target.id}`;
      const there = createClient(other.baseUrl);
      const given = { token: admin.token, body: { role: 'retired' } };
      expect((await there('PATCH', path, given)).status).toBe(200);
      // This host does not know the role.
      const read = async () => (await client('GET', path, { token: admin.token })).json;
      expect((await read()).role).toBe('retired');
      const send = async (method: string, more: object) =>
        client(method, path, { token: admin.token, body: { ...(await read()), ...more } });
      const put = await send('PUT', { name: 'Sent back' });
      expect([put.status, put.json.name, put.json.role]).toEqual([200, 'Sent back', 'retired']);
      expect((await send('PATCH', { name: 'Again' })).status).toBe(200);
      for (const role of ['gone', 'Retired', 'x'.repeat(33)]) {
        const refused = await send('PUT', { role });
        expect([refused.status, refused.json.errors[0].pointer]).toEqual([422, '/role']);
      }
      const elsewhere = { token: admin.token, body: { role: 'retired' } };
      const another = await account('user');
      const { status, json } = await client('PATCH', `/api/users/${another.id}`, elsewhere);
      const allowed = expect.arrayContaining(['admin', 'premium', 'user']);
      expect([status, json.errors]).toEqual([
        422,
        [expect.objectContaining({ pointer: '/role', code: 'not_allowed', params: { allowed } })],
      ]);
      expect((await send('PUT', { role: 'user' })).json.role).toBe('user');
    } finally {
      await other.close();
    }
  });

  test('each start says which stored roles the setting does not name', async () => {
    await account('ghost');
    const warned: unknown[] = [];
    const log = {
      debug: () => {},
      info: () => {},
      warn: (...line: unknown[]) => warned.push(line),
    };
    const start = async (roles: string) => {
      const config = parseConfig({ NODE_ENV: 'test', MONGODB_URI: mongo.uri, ROLES: roles });
      await prepareDatabase(mongo.uri, config, log as unknown as Logger, { embedded: false });
      return warned.splice(0).filter((line) => String(line).includes('ROLES'));
    };
    expect(await start(`${ROLES},ghost=`)).toEqual([]);
    const [[fields, message] = []] = (await start(ROLES)) as [object, string][];
    expect(message).toBe('accounts have roles that ROLES does not name');
    expect(fields).toEqual({ roles: ['ghost'], accounts: expect.any(Number) });
  });
});

describeWithRedis('a role forged in Redis', () => {
  let redis: TestRedis;
  let service: TestService;
  let ask: ReturnType<typeof connectRedis>;
  beforeAll(async () => {
    redis = await startTestRedis();
    service = await startTestService({ REDIS_URL: redis.url, ROLES, NEAR_CACHE_TTL_MS: '2' });
    ask = connectRedis({ url: redis.url });
    await ask.connect();
  });
  afterAll(async () => {
    ask?.destroy();
    await service?.close();
    await redis?.close();
  });

  /** Replaces the role in every cached value of the account; resolves with how many there were. */
  async function forge(id: string, from: Role, to: Role): Promise<number> {
    let forged = 0;
    for (const key of await ask.keys(`*user.v*${id}*`)) {
      if ((await ask.type(key)) !== 'string') continue;
      const text = (await ask.get(key)) ?? '';
      if (!text.includes(`"role":"${from}"`)) continue;
      await ask.set(key, text.replaceAll(`"role":"${from}"`, `"role":"${to}"`), { KEEPTTL: true });
      forged += 1;
    }
    return forged;
  }

  test.each([
    ['user', 'lead', 'PATCH', '403 forbidden'],
    ['user', 'manager', 'DELETE', '403 forbidden'],
    ['auditor', 'lead', 'PATCH', '403 forbidden'],
  ])('%s as %s: a write (%s) is decided by MongoDB', async (from, to, method, expected) => {
    const client = createClient(service.baseUrl, { unchecked: true });
    const [actor, target] = [await accountIn(service, from), await accountIn(service, 'user')];
    const { token } = actor;
    await client('GET', '/api/auth/profile', { token });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await forge(actor.id, from, to)).toBeGreaterThan(0);
    // Redis is believed for reads: the forgery has worked.
    expect((await client('GET', '/api/users', { token })).status).toBe(200);
    const path =
      method === 'PATCH' ? `/api/users/${target.id}` : `/api/service-accounts/${target.id}`;
    const body = method === 'PATCH' ? { body: { name: 'Taken' } } : {};
    const { status, json } = await client(method, path, { token, ...body });
    expect(`${status} ${json?.code}`).toBe(expected);
  });
});
