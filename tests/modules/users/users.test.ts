import { parseConfig } from '../../../src/kernel/config/config';
import { createDeadlines } from '../../../src/kernel/deadline';
import { ALL_PERMISSIONS, createPolicy } from '../../../src/kernel/permissions';
import { NO_PASSWORD } from '../../../src/modules/auth';
import { cachedUsers } from '../../../src/modules/users/cached';
import { createUserModel } from '../../../src/modules/users/model';
import { createUserRepository, type UserRepository } from '../../../src/modules/users/repository';
import { createUserService } from '../../../src/modules/users/service';
import { createCache } from '../../../src/platform/cache/cache';
import { createLocks } from '../../../src/platform/mongo/locks';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../support/http';
import { anyTime, lookAt } from '../../support/snapshots';

let service: TestService;
let client: Client;
let adminToken: string;

beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  adminToken = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const VIEW = [
  ...['app_metadata', 'created_at', 'email', 'email_verified', 'external_id', 'id'],
  ...['last_login_at', 'name', 'role', 'status', 'updated_at', 'user_metadata'],
];

const CHANGEABLE = ['name', 'email', 'role', 'external_id', 'user_metadata', 'app_metadata'];

describe('reading a user', () => {
  test('oneself, by id and as me: the view and nothing else', async () => {
    const { user, access_token: token } = await register(client);
    for (const path of [`/api/users/${user.id}`, '/api/users/me', '/api/auth/profile']) {
      const answer = await client('GET', path, { token });
      expect(answer.status).toBe(200);
      expect(Object.keys(answer.json).sort()).toEqual(VIEW);
      expect(answer.json).toEqual(user);
    }
  });

  test('another user: 403 whether or not there is one; admin: 200 and 404', async () => {
    const [{ user }, { access_token: token }] = [await register(client), await register(client)];
    expect((await client('GET', `/api/users/${user.id}`, { token })).status).toBe(403);
    expect((await client('GET', `/api/users/${'0'.repeat(24)}`, { token })).status).toBe(403);
    const seen = await client('GET', `/api/users/${user.id}`, { token: adminToken });
    expect(seen.json).toEqual({
      ...user,
      ...{ private_metadata: {}, ban: null, password_change_required: false },
    });
    const absent = await client('GET', `/api/users/${'0'.repeat(24)}`, { token: adminToken });
    expect([absent.status, absent.json.code]).toEqual([404, 'user_not_found']);
  });

  test.each(['1', 'ME', '0'.repeat(23), `${'0'.repeat(23)}G`, '%00', '[object Object]', '..'])(
    'a bad id %p: 400 or 404, never 5xx',
    async (id) => {
      const answer = await client('GET', `/api/users/${encodeURIComponent(id)}`, {
        token: adminToken,
      });
      expect([400, 404]).toContain(answer.status);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
    },
  );

  test('ETag: 304 on If-None-Match, new after a change, If-Match guards', async () => {
    const { user, access_token: token } = await register(client);
    const path = `/api/users/${user.id}`;
    const etag = (await client('GET', path, { token })).headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[^"]+"$/);
    const same = await client('GET', path, { token, headers: { 'if-none-match': `"x", ${etag}` } });
    expect([same.status, same.text, same.headers.get('etag')]).toEqual([304, '', etag]);

    const changed = await client('PATCH', path, {
      token,
      body: { name: 'Countess' },
      headers: { 'if-match': etag },
    });
    expect([changed.status, changed.json.name]).toEqual([200, 'Countess']);
    const next = changed.headers.get('etag');
    expect(next).not.toBe(etag);
    expect(
      (await client('GET', path, { token, headers: { 'if-none-match': etag } })).headers.get(
        'etag',
      ),
    ).toBe(next);

    for (const method of ['PATCH', 'PUT', 'DELETE']) {
      const body = method === 'DELETE' ? {} : { body: { name: 'Late', email: user.email } };
      const late = await client(method, path, { token, ...body, headers: { 'if-match': etag } });
      expect([method, late.status, late.json.code]).toEqual([method, 412, 'precondition_failed']);
    }
    expect((await client('GET', path, { token })).json.name).toBe('Countess');
  });
});

describe('changing a user', () => {
  test.each(['PUT', 'PATCH'])(
    '%s takes back what GET gave, and names each read-only member that is another',
    async (method) => {
      const { access_token: token, user } = await register(client);
      const got = await client('GET', '/api/users/me', { token });
      const same = await client(method, '/api/users/me', { token, body: got.json });
      expect([same.status, same.json]).toEqual([200, got.json]);
      const readOnly = Object.keys(got.json).filter((name) => !CHANGEABLE.includes(name));
      expect(readOnly).toEqual(expect.arrayContaining(['id', 'created_at', 'updated_at']));
      const others: Record<string, unknown> = {
        status: 'banned',
        last_login_at: '2999-01-01T00:00:00.000Z',
        id: '652f1c3e9b1d4a0012ab34cd',
        created_at: '2000-01-01T00:00:00.000Z',
        updated_at: '2000-01-01T00:00:00.000Z',
      };
      for (const name of readOnly) {
        const other =
          others[name] ?? (typeof got.json[name] === 'boolean' ? !got.json[name] : 'other');
        const answer = await client(method, '/api/users/me', {
          token,
          body: { ...got.json, name: 'Other', [name]: other },
        });
        expect([answer.status, answer.json.errors]).toEqual([
          422,
          [expect.objectContaining({ pointer: `/${name}`, code: 'read_only' })],
        ]);
      }
      const all = await client(method, '/api/users/me', {
        token,
        body: { ...got.json, ...others },
      });
      expect(all.json.errors.map(({ pointer }: { pointer: string }) => pointer)).toEqual([
        '/id',
        '/status',
        '/created_at',
        '/updated_at',
        '/last_login_at',
      ]);
      expect(
        (await client(method, '/api/users/me', { token, body: { ...got.json, role: 'admin' } }))
          .json.code,
      ).toBe('role_change_forbidden');
      expect((await client('GET', '/api/users/me', { token })).json).toEqual(got.json);
      const admin = await login(client, service.admin.email, service.admin.password);
      const byAdmin = await client(method, `/api/users/${user.id}`, {
        token: admin,
        body: { ...got.json, name: 'Renamed' },
      });
      expect([byAdmin.status, byAdmin.json.name]).toEqual([200, 'Renamed']);
    },
  );

  test('PUT replaces, PATCH merges, updated_at moves, created_at stays', async () => {
    const { user, access_token: token } = await register(client);
    const { json: before } = await client('GET', '/api/users/me', { token });
    const { email } = user;
    const put = await client('PUT', '/api/users/me', { token, body: { name: 'Grace', email } });
    expect(put.json).toMatchObject({ id: user.id, name: 'Grace', email, role: 'user' });
    const patch = await client('PATCH', '/api/users/me', {
      token,
      raw: '{"name":"G. Hopper"}',
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    expect(patch.json).toMatchObject({ name: 'G. Hopper', email });
    expect([put.json.created_at, patch.json.created_at]).toEqual([
      before.created_at,
      before.created_at,
    ]);
    // Each write waits for local cache entries to expire, so that times in ms differ.
    expect(Date.parse(put.json.updated_at)).toBeGreaterThan(Date.parse(before.updated_at));
    expect(Date.parse(patch.json.updated_at)).toBeGreaterThan(Date.parse(put.json.updated_at));
  });

  test.each([
    ['role', 'admin', 403, 'role_change_forbidden'],
    ['_id', '0'.repeat(24), 422, 'validation_failed'],
    ['id', '0'.repeat(24), 422, 'validation_failed'],
    ['created_at', '2000-01-01T00:00:00Z', 422, 'validation_failed'],
    ['created_at', 7, 422, 'validation_failed'],
    ['passwordHash', 'x', 422, 'validation_failed'],
    ['password', 'another password', 422, 'validation_failed'],
    ['sessionVersion', 99, 422, 'validation_failed'],
    ['rev', 99, 422, 'validation_failed'],
    ['$set', { role: 'admin' }, 422, 'validation_failed'],
    ['__proto__', { role: 'admin' }, 422, 'validation_failed'],
    ['constructor', { role: 'admin' }, 422, 'validation_failed'],
  ])(
    'mass assignment of %s is refused on every route and changes nothing',
    async (field, value, status, code) => {
      const { user, access_token: token, password } = await register(client);
      const extra = `,${JSON.stringify(field)}:${JSON.stringify(value)}}`;
      const bodies: [string, string, string][] = [
        [
          'PUT',
          '/api/users/me',
          JSON.stringify({ name: 'X', email: user.email }).replace(/}$/, extra),
        ],
        ['PATCH', '/api/users/me', JSON.stringify({ name: 'X' }).replace(/}$/, extra)],
      ];
      for (const [method, path, raw] of bodies) {
        const answer = await client(method, path, { token, raw });
        expect([method, answer.status, answer.json.code]).toEqual([method, status, code]);
      }
      const registered = await client('POST', '/api/auth/register', {
        raw: JSON.stringify({ name: 'X', email: uniqueEmail(), password }).replace(
          /}$/,
          field === 'password' ? ',"passwords":1}' : extra,
        ),
      });
      expect([registered.status, registered.json.code]).toEqual([422, 'validation_failed']);
      expect((await client('GET', '/api/users/me', { token })).json).toEqual(user);
      expect(await login(client, user.email, password)).toEqual(expect.any(String));
    },
  );

  test('an e-mail of another account: 409, in any case of letters', async () => {
    const [{ user: first }, { user: second }] = [await register(client), await register(client)];
    for (const email of [first.email, first.email.toUpperCase()]) {
      const answer = await client('PATCH', `/api/users/${second.id}`, {
        token: adminToken,
        body: { email },
      });
      expect([answer.status, answer.json.code]).toEqual([409, 'email_taken']);
    }
  });

  test('two writers with the same If-Match: exactly one wins', async () => {
    const { user, access_token: token } = await register(client);
    const etag = (await client('GET', '/api/users/me', { token })).headers.get('etag') ?? '';
    const writes = await Promise.all(
      ['One', 'Two', 'Three', 'Four'].map((name) =>
        client('PATCH', `/api/users/${user.id}`, {
          token,
          body: { name },
          headers: { 'if-match': etag },
        }),
      ),
    );
    expect(writes.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
    const winner = writes.find(({ status }) => status === 200);
    expect((await client('GET', '/api/users/me', { token })).json).toEqual(winner?.json);
  });
});

test('a user who is made an administrator while being demoted is not demoted past the lock', async () => {
  const { connection } = service.database;
  const repository = createUserRepository(createUserModel(connection), { timeoutMs: 2000 });
  const cache = createCache({
    settings: parseConfig({}).cache,
    log: createLogger({ level: 'silent' }),
  });
  const { user } = await register(client);
  let seen = 0;
  const racing: UserRepository = {
    ...repository,
    async look(id, timeoutMs) {
      const found = await repository.look(id, timeoutMs);
      seen += 1;
      if (seen === 1) {
        await repository.update(
          await lookAt(repository, id),
          anyTime(),
          { role: 'admin' },
          { now: new Date() },
        );
        await connection
          .collection('users')
          .updateMany({ emailKey: service.admin.email }, { $set: { role: 'user' } });
      }
      return found;
    },
  };
  const users = createUserService({
    policy: createPolicy(),
    repository: racing,
    users: cachedUsers(cache, repository.find),
    cache,
    locks: createLocks(connection, { ttlMs: 5000, timeoutMs: 2000 }),
    now: () => new Date(),
    startDeadline: createDeadlines(2100),
    emit: () => {},
    noPassword: NO_PASSWORD,
    timeoutMs: 2000,
  });
  await expect(
    users.change({ userId: user.id, permissions: ALL_PERMISSIONS }, user.id, { role: 'user' }),
  ).rejects.toMatchObject({
    code: 'last_admin',
  });
  expect((await repository.find(user.id))?.role).toBe('admin');
  await connection
    .collection('users')
    .updateMany({ emailKey: service.admin.email }, { $set: { role: 'admin' } });
  await repository.remove(await lookAt(repository, user.id), anyTime());
  await cache.close();
});

describe('administrators', () => {
  test('create, promote, delete; the new role counts at once and ends older tokens', async () => {
    const email = uniqueEmail('made');
    const made = await client('POST', '/api/users', {
      token: adminToken,
      body: { name: 'Made', email, password: PASSWORD },
    });
    expect([made.status, made.json.role, made.headers.get('location')]).toEqual([
      201,
      'user',
      `/api/users/${made.json.id}`,
    ]);
    const token = await login(client, email, PASSWORD);
    expect((await client('GET', '/api/users', { token })).status).toBe(403);

    const promoted = await client('PATCH', `/api/users/${made.json.id}`, {
      token: adminToken,
      body: { role: 'admin' },
    });
    expect(promoted.json.role).toBe('admin');
    expect((await client('GET', '/api/users/me', { token })).status).toBe(401);
    const again = await login(client, email, PASSWORD);
    expect((await client('GET', '/api/users?limit=1', { token: again })).status).toBe(200);

    expect(
      (await client('DELETE', `/api/users/${made.json.id}`, { token: adminToken })).status,
    ).toBe(204);
    expect(
      (await client('DELETE', `/api/users/${made.json.id}`, { token: adminToken })).status,
    ).toBe(404);
    expect((await client('GET', '/api/users/me', { token: again })).status).toBe(401);
  });

  test('the last administrator stays, even when two leave at once', async () => {
    const email = uniqueEmail('second');
    await client('POST', '/api/users', {
      token: adminToken,
      body: { name: 'Second', email, password: PASSWORD, role: 'admin' },
    });
    const second = await login(client, email, PASSWORD);
    const gone = await Promise.all([
      client('DELETE', '/api/users/me', { token: second }),
      client('PATCH', '/api/users/me', { token: adminToken, body: { role: 'user' } }),
    ]);
    expect(gone.filter(({ status }) => status < 300)).toHaveLength(1);
    expect(gone.map(({ json }) => json?.code)).toContain('last_admin');
    if (gone[1].status === 200) {
      // The first administrator stepped down: let the second promote it again for the other tests.
      await client('PATCH', `/api/users/${gone[1].json.id}`, {
        token: second,
        body: { role: 'admin' },
      });
    }
    adminToken = await login(client, service.admin.email, service.admin.password);
    const { data } = (await client('GET', '/api/users?role=admin', { token: adminToken })).json;
    for (const one of data.filter(
      (user: { email: string }) => user.email !== service.admin.email,
    )) {
      await client('DELETE', `/api/users/${one.id}`, { token: adminToken });
    }
    const alone = await client('DELETE', '/api/users/me', { token: adminToken });
    expect([alone.status, alone.json.code]).toEqual([409, 'last_admin']);
  });
});
