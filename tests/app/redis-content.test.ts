import { createHash } from 'node:crypto';
import { createClient as connectRedis } from 'redis';
import { startTestService, type TestService } from '../support/app';
import { type Client, createClient, eventually, login, register } from '../support/http';
import { describeWithRedis, startTestRedis, type TestRedis } from '../support/redis';

describeWithRedis('what Redis holds', () => {
  let redis: TestRedis;
  let service: TestService;
  let client: Client;
  let admin: string;
  let ask: ReturnType<typeof connectRedis>;

  beforeAll(async () => {
    redis = await startTestRedis();
    ask = connectRedis({ url: redis.url });
    ask.on('error', () => undefined);
    await ask.connect();
    service = await startTestService({ REDIS_URL: redis.url, RATE_LIMIT: 'true' });
    client = createClient(service.baseUrl);
    admin = await login(client, service.admin.email, service.admin.password);
  });
  afterAll(async () => {
    ask?.destroy();
    await service?.close();
    await redis?.close();
  });

  /** All keys and values in Redis, once a key contains `part`. */
  async function everything(part: string): Promise<{ names: string[]; texts: string[] }> {
    const names = await eventually(`a key with ${part}`, async () => {
      const found = await ask.keys('*');
      return found.some((name) => name.includes(part)) ? found : undefined;
    });
    const texts = await Promise.all(
      names.map(async (name) =>
        (await ask.type(name)) === 'string' ? ((await ask.get(name)) ?? '') : '',
      ),
    );
    return { names, texts };
  }

  test('no key contains a search term or a client', async () => {
    const email = 'somebody.in.particular@example.org';
    await register(client, { email });
    await client('POST', '/api/auth/login', { body: { email, password: 'not the password' } });
    for (const query of [
      'q=Weierstrass',
      `email=${email}`,
      'q=somebody.in.p@',
      'sort=name&role=admin',
    ]) {
      expect((await client('GET', `/api/users?${query}`, { token: admin })).status).toBe(200);
    }
    const { names } = await everything(':v2:list.');
    expect(names.some((name) => name.includes(':n:'))).toBe(true);
    const shown = names.join('\n').toLowerCase();
    for (const word of ['weierstrass', 'somebody', 'example.org', '127.0.0.1', '::1', 'admin', '"'])
      expect(shown).not.toContain(word);
    // No key contains an unkeyed hash of them either.
    for (const hash of ['sha1', 'sha256', 'md5']) {
      for (const encoding of ['hex', 'base64url'] as const) {
        const digest = createHash(hash)
          .update('127.0.0.1')
          .digest(encoding)
          .slice(0, 20)
          .toLowerCase();
        expect(shown).not.toContain(digest);
      }
    }
  });

  test('no value allows an offline guess of a secret', async () => {
    const created = await client('POST', '/api/service-accounts', {
      token: admin,
      body: { name: 'Report', scopes: ['users:read'] },
    });
    const { id, client_secret: secret } = created.json as { id: string; client_secret: string };
    const raw = `grant_type=client_credentials&client_id=${id}&client_secret=${secret}`;
    const granted = await client('POST', '/api/auth/token', {
      raw,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(granted.status).toBe(200);
    const token = (granted.json as { access_token: string }).access_token;
    expect((await client('GET', '/api/users', { token })).status).toBe(200);
    const { names, texts } = await everything(`service.v3:${id}`);
    const held = [...names, ...texts].join('\n');
    const row = await service.database.connection
      .collection('service_accounts')
      .findOne({ name: 'Report' });
    const hash = String(row?.['secretHash']);
    expect(hash.length).toBeGreaterThan(20);
    expect(held).toContain('Report');
    for (const one of [hash, secret, secret.slice(12)]) expect(held).not.toContain(one);
  });
});
