import { startTestService, type TestService } from '../../support/app';
import { createClient, login, PASSWORD, register, uniqueEmail } from '../../support/http';
import { exchange } from '../../support/impersonation';
import { describeWithRedis, startTestRedis, type TestRedis } from '../../support/redis';

let redis: TestRedis;

describeWithRedis('a write that is done is acknowledged', () => {
  let service: TestService;
  afterEach(async () => {
    await redis?.kill('SIGCONT').catch(() => undefined);
    await service?.close();
    await redis?.close();
  });

  async function start(settings: Record<string, string> = {}) {
    redis = await startTestRedis();
    service = await startTestService({ REDIS_URL: redis.url, ...settings });
    const client = createClient(service.baseUrl);
    const { access_token: token } = await register(client);
    return { client, token };
  }

  test.each([
    ['hangs', 'SIGSTOP'],
    ['is dead', 'SIGKILL'],
  ] as const)(
    'while Redis %s, each kind of it',
    async (_how, signal) => {
      const { client, token } = await start();
      await redis.kill(signal);
      const renamed = await client('PATCH', '/api/users/me', { token, body: { name: 'Renamed' } });
      expect([renamed.status, renamed.json.name]).toEqual([200, 'Renamed']);
      expect((await client('GET', '/api/users/me', { token })).json.name).toBe('Renamed');
      const next = { current_password: PASSWORD, new_password: 'another long password' };
      expect((await client('PATCH', '/api/auth/password', { token, body: next })).status).toBe(200);
      expect((await client('POST', '/api/auth/logout', { token })).status).toBe(204);
      expect((await client('GET', '/api/users/me', { token })).status).toBe(401);
    },
    60_000,
  );

  test.each([2100, 3000])(
    'with τ = %d ms: it waits, and says 200',
    async (nearTtlMs) => {
      const { client, token } = await start({ NEAR_CACHE_TTL_MS: String(nearTtlMs) });
      const began = performance.now();
      const renamed = await client('PATCH', '/api/users/me', { token, body: { name: 'Renamed' } });
      expect(renamed.status).toBe(200);
      expect(performance.now() - began).toBeGreaterThanOrEqual(nearTtlMs);
    },
    60_000,
  );
});

describeWithRedis('a client that can write Redis', () => {
  let service: TestService;
  beforeAll(async () => {
    redis = await startTestRedis();
    service = await startTestService({ REDIS_URL: redis.url, NEAR_CACHE_TTL_MS: '0' });
  });
  afterAll(async () => {
    await service?.close();
    await redis?.close();
  });

  /** Every value that names the user, with the role that the attacker would like. */
  async function forge(id: string): Promise<void> {
    const { createClient: connect, RESP_TYPES } = await import('redis');
    const raw = await connect({ url: redis.url })
      .withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
      .connect();
    for (const key of await raw.keys(`*${id}*`)) {
      if ((await raw.type(key)).toString() !== 'string') continue;
      const value = await raw.get(key);
      const other = value?.toString('latin1').replaceAll('"role":"user"', '"role":"admin"');
      if (value === null || other === undefined || other === value.toString('latin1')) continue;
      await raw.set(key, Buffer.from(other, 'latin1'), { KEEPTTL: true });
    }
    raw.destroy();
  }

  test('is no administrator by that: nothing is changed on the strength of a role that MongoDB does not have', async () => {
    const client = createClient(service.baseUrl, { unchecked: true });
    const [{ user, access_token: token }, victim] = [
      await register(client),
      await register(client),
    ];
    const attempts = [
      ['PATCH', '/api/users/me', { role: 'admin' }],
      ['PUT', '/api/users/me', { name: 'Mallory', email: user.email, role: 'admin' }],
      ['PATCH', `/api/users/${victim.user.id}`, { name: 'Mallory' }],
      ['PATCH', `/api/users/${victim.user.id}`, { role: 'admin' }],
      ['DELETE', `/api/users/${victim.user.id}`, undefined],
      [
        'POST',
        '/api/users',
        { name: 'Mallory', email: uniqueEmail(), password: PASSWORD, role: 'admin' },
      ],
      ['POST', '/api/service-accounts', { name: 'mallory', scopes: ['users:write'] }],
      ['POST', '/api/webhooks', { url: 'https://mallory.example.org/hook' }],
      ['DELETE', `/api/users/${victim.user.id}/factors`, undefined],
      ['DELETE', `/api/users/${victim.user.id}/sessions`, undefined],
    ] as const;
    async function becomeBelieved() {
      let believed = false;
      for (let i = 0; i < 20 && !believed; i += 1) {
        expect((await client('GET', '/api/users/me', { token })).status).toBe(200);
        await forge(user.id);
        believed = (await client('GET', '/api/users/me', { token })).json.role === 'admin';
      }
      expect(believed).toBe(true);
    }
    for (const [method, path, body] of attempts) {
      await becomeBelieved();
      const answer = await client(method, path, { token, body });
      expect([method, path, answer.status]).toEqual([method, path, 403]);
    }
    await becomeBelieved();
    const acting = await exchange(client, victim.user.id, token);
    expect([acting.status, acting.json.error]).toEqual([400, 'invalid_request']);
    await becomeBelieved();
    // The headers may be there already; no user is.
    const all = await client('GET', '/api/users/export', { token }).catch(() => undefined);
    expect(all?.text ?? '').not.toContain(victim.user.email);
    const stored = await service.database.connection.collection('users').find({}).toArray();
    expect(stored.filter(({ role }) => role === 'admin').map(({ email }) => email)).toEqual([
      service.admin.email,
    ]);
    expect(stored.map(({ name }) => name)).not.toContain('Mallory');
    // Who is one in MongoDB goes on as before.
    const admin = await login(client, service.admin.email, service.admin.password);
    expect(
      (await client('PATCH', `/api/users/${user.id}`, { token: admin, body: { name: 'Renamed' } }))
        .status,
    ).toBe(200);
  });
});

describeWithRedis('a Redis user whose ACL names the prefix of its service', () => {
  test('is enough for it, and reaches nothing of another service', async () => {
    // As docs/cache.md says.
    const acl = ['auth', 'on', '>pass-3k', '~auth:*', '+@all', '-@dangerous', '+info', '+role'];
    redis = await startTestRedis(['--user', ...acl]);
    const service = await startTestService({
      REDIS_URL: `redis://auth:pass-3k@127.0.0.1:${redis.port}`,
    });
    try {
      const client = createClient(service.baseUrl);
      const { user, access_token: token } = await register(client);
      expect(
        (await client('PATCH', '/api/users/me', { token, body: { name: 'Renamed' } })).json.name,
      ).toBe('Renamed');
      expect((await client('GET', '/api/users/me', { token })).json.name).toBe('Renamed');
      expect((await client('GET', '/health')).json.cache).toMatchObject({ status: 'up' });
      const { createClient: connect } = await import('redis');
      const [own, all] = [
        connect({ url: `redis://auth:pass-3k@127.0.0.1:${redis.port}` }),
        connect({ url: redis.url }),
      ];
      await Promise.all([own.connect(), all.connect()]);
      await expect(own.set('other:x', '1')).rejects.toThrow('NOPERM');
      expect((await all.keys(`*${user.id}*`)).every((key) => key.startsWith('auth:'))).toBe(true);
      own.destroy();
      all.destroy();
    } finally {
      await service.close();
      await redis.close();
    }
  });
});
