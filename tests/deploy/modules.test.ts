import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { type Balancer, freePort as freeEdgePort, startNginx } from '../support/balancers';
import { type Client, createClient, eventually, login, register } from '../support/http';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { redisAvailable, startTestRedis, type TestRedis } from '../support/redis';
import { freePort, root, type ServiceProcess, startService } from '../support/service';
import { describeWith } from '../support/tools';

const entry = path.join(root, 'dist', 'main.js');

/** Two processes on one database and Redis, behind nginx/split/default.conf. */
describeWith(['nginx'], 'auth and users as two processes', () => {
  let mongo: TestMongo;
  let redis: TestRedis | undefined;
  let edge: Balancer;
  let auth: ServiceProcess;
  let users: ServiceProcess;
  let client: Client;
  let settings: Record<string, string>;
  let authPort: number;

  const startAuth = () =>
    startService({
      entry,
      env: { ...settings, PORT: String(authPort), MODULES: 'auth,audit' },
      timeoutMs: 60_000,
    });

  beforeAll(async () => {
    [mongo, redis] = await Promise.all([
      startTestMongo(),
      redisAvailable ? startTestRedis() : undefined,
    ]);
    const edgePort = await freeEdgePort();
    authPort = await freePort();
    const usersPort = await freePort();
    settings = {
      NODE_ENV: 'test',
      WORKERS: '1',
      MONGODB_URI: mongo.uri,
      ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      KEY_ENCRYPTION_SECRET: 'mZ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
      KEY_POLL_MS: '500',
      PUBLIC_URL: `http://127.0.0.1:${edgePort}`,
      BCRYPT_COST: '4',
      RATE_LIMIT: 'false',
      TRUST_PROXY: '1',
    };
    users = await startService({
      entry,
      env: {
        ...settings,
        PORT: String(usersPort),
        MODULES: 'users',
        JWKS_URL: `http://127.0.0.1:${authPort}/.well-known/jwks.json`,
      },
      timeoutMs: 60_000,
    });
    const split = readFileSync(path.join(root, 'nginx', 'split', 'default.conf'), 'utf8')
      .replaceAll('127.0.0.1:3001', `127.0.0.1:${authPort}`)
      .replaceAll('127.0.0.1:3002', `127.0.0.1:${usersPort}`)
      .replace('listen 8080', `listen 127.0.0.1:${edgePort}`);
    edge = await startNginx({
      hosts: [`127.0.0.1:${authPort}`],
      port: edgePort,
      edit: (text, file) => (file === 'conf.d/default.conf' ? split : text),
    });
    client = createClient(edge.url, { unchecked: true });
  }, 120_000);

  afterAll(async () => {
    await edge?.close();
    await users?.close();
    await auth?.close();
    await redis?.close();
    await mongo?.close();
  });

  test('without keys users answers 503, and verifies as soon as auth is up', async () => {
    const token = forged({ kid: 'k' });
    const early = await client('GET', '/api/users/me', { token });
    expect([early.status, early.json.code]).toEqual([503, 'signing_keys_unavailable']);
    expect(early.headers.get('retry-after')).toBe('2');
    auth = await startAuth();
    await eventually('users reads the keys', async () => {
      const answer = await client('GET', '/api/users/me', { token });
      return answer.status === 401;
    });
  });

  test('each process serves its own modules, in routes, document and health', async () => {
    const paths = async (url: string) => {
      const { json } = await createClient(url, { unchecked: true })('GET', '/openapi.json');
      return Object.keys(json.paths as object);
    };
    const ofUsers = await paths(users.url);
    expect(
      ofUsers.filter((one) => !/^\/api\/(users|jobs|events|webhooks)(\/|$)/.test(one)),
    ).toEqual([]);
    // Sessions and mails of users too, which the module of authentication keeps.
    expect(ofUsers).toEqual(
      expect.arrayContaining(['/api/users/{id}/sessions', '/api/users/{id}/invite']),
    );
    const ofAuth = await paths(auth.url);
    expect(ofAuth).toEqual(expect.arrayContaining(['/api/auth/login', '/api/audit-events']));
    expect(ofAuth.filter((one) => one.startsWith('/api/users'))).toEqual([]);
    for (const [service, modules, foreign] of [
      [auth, ['auth', 'audit'], '/api/users/me'],
      [users, ['users'], '/api/auth/profile'],
    ] as const) {
      const direct = createClient(service.url, { unchecked: true });
      expect((await direct('GET', '/health')).json.modules).toEqual(modules);
      expect((await direct('GET', foreign)).status).toBe(404);
    }
  });

  test('a write of one process holds at the other when it has answered', async () => {
    const { user, access_token: token, password } = await register(client);
    const own = `/api/users/${user.id}`;
    expect((await client('GET', own, { token })).json).toMatchObject({ id: user.id });
    for (let n = 0; n < 10; n += 1) {
      const name = `Ada ${n}`;
      expect((await client('PATCH', own, { token, body: { name } })).status).toBe(200);
      expect((await client('GET', '/api/auth/profile', { token })).json.name).toBe(name);
    }
    const second = await login(client, user.email, password);
    expect((await client('GET', own, { token: second })).status).toBe(200);
    expect((await client('POST', '/api/auth/logout', { token: second })).status).toBe(204);
    const ended = await client('GET', own, { token: second });
    expect([ended.status, ended.json.code]).toEqual([401, 'invalid_token']);
    expect((await client('GET', own, { token })).status).toBe(200);
    command('ban', '--email', user.email);
    expect((await client('GET', own, { token })).status).toBe(401);
  });

  test('a removal at users asks for a recent login, and is in the audit log of auth', async () => {
    command('create', '--email', 'root@example.org', '--password-stdin');
    const admin = await login(client, 'root@example.org', 'a password of my own');
    const { user, access_token: token } = await register(client);
    await age(user.id, new Date(Date.now() - 3_600_000));
    const refused = await client('DELETE', `/api/users/${user.id}`, { token });
    expect([refused.status, refused.json.code]).toEqual([401, 'insufficient_user_authentication']);
    expect((await client('DELETE', `/api/users/${user.id}`, { token: admin })).status).toBe(204);
    await eventually('the event is stored', async () => {
      const path = '/api/audit-events?type=account_removed';
      const { json } = await client('GET', path, { token: admin });
      // Under the pseudonym, once the purge has come by.
      const [event, ...more] = json.data as { subject: string }[];
      return more.length === 0 && /^removed:/.test(event?.subject ?? '');
    });
  });

  test('users refuses a token of another key, also under a known kid', async () => {
    const { access_token: token } = await register(client);
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as {
      kid: string;
    };
    for (const one of [forged({ kid }), forged({ kid: 'unknown' })]) {
      const answer = await client('GET', '/api/users/me', { token: one });
      expect([answer.status, answer.json.code]).toEqual([401, 'invalid_token']);
    }
  });

  test('while auth is away users goes on with the keys that it has', async () => {
    const { user, access_token: token } = await register(client);
    await auth.close();
    for (let n = 0; n < 3; n += 1)
      expect((await client('GET', `/api/users/${user.id}`, { token })).status).toBe(200);
    expect((await client('GET', '/api/auth/profile', { token })).status).toBe(503);
    auth = await startAuth();
    expect((await client('GET', '/api/auth/profile', { token })).status).toBe(200);
  });

  /** An operator's command with the settings of the service. */
  function command(...args: string[]): void {
    const { PATH = '', HOME = '' } = process.env;
    const program = path.join(root, 'dist/cli/admin.js');
    const done = spawnSync(process.execPath, [program, ...args], {
      env: { PATH, HOME, ...settings },
      input: 'a password of my own\n',
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect([done.status, done.stderr]).toEqual([0, '']);
  }

  async function age(userId: string, createdAt: Date): Promise<void> {
    const { createConnection } = await import('mongoose');
    const connection = await createConnection(mongo.uri).asPromise();
    await connection.collection('sessions').updateMany({ userId }, { $set: { createdAt } });
    await connection.close();
  }
});

/** A well-formed access token, signed with a key of nobody. */
function forged({ kid }: { kid: string }): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const iat = Math.floor(Date.now() / 1000);
  const input = `${encode({ alg: 'ES256', typ: 'at+jwt', kid })}.${encode({
    ...{ iss: 'x', aud: 'api', sub: 'a'.repeat(24), sid: 'b'.repeat(24), ver: 1 },
    ...{ role: 'admin', jti: 'j', iat, exp: iat + 900 },
  })}`;
  const signature = sign('sha256', Buffer.from(input), {
    key: privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return `${input}.${signature.toString('base64url')}`;
}
