import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ours } from '../../bench/contestants';
import { planCpus } from '../../bench/cpus';
import { seedUsers, subject } from '../../bench/dataset';
import { type Standing, startStanding } from '../../bench/field';
import type { Runtime } from '../../bench/runtimes';
import { startTestMongo, type TestMongo } from '../support/mongo';
import { describeWithRedis, startTestRedis, type TestRedis } from '../support/redis';

/**
 * The service exactly as the benchmark starts it: no figure may be bought by leaving something out.
 */
describeWithRedis('the answer that is benchmarked', () => {
  const user = subject(1);
  const folder = mkdtempSync(join(tmpdir(), 'benched-'));
  let mongo: TestMongo;
  let redis: TestRedis;
  let service: Standing;

  beforeAll(async () => {
    [mongo, redis] = await Promise.all([startTestMongo(), startTestRedis()]);
    await seedUsers(mongo.uri, 10);
    const runtime: Runtime = {
      major: process.versions.node.split('.')[0] ?? '',
      version: process.version,
      path: process.execPath,
    };
    const stores = {
      folder,
      mongodbUri: mongo.uri,
      redisUrl: redis.url,
      emptyRedis: async () => {},
      moveTo() {},
      close: async () => {},
    };
    service = await startStanding(stores, planCpus(1), ours, runtime);
  });

  afterAll(async () => {
    await service?.stop();
    await Promise.all([mongo?.close(), redis?.close()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const headers = (more: Record<string, string> = {}) => ({
    Authorization: `Bearer ${ours.token(user)}`,
    ...more,
  });
  const get = (path: string, more?: Record<string, string>) =>
    fetch(service.url + path, { headers: headers(more) });

  /** Lines and metrics come out a moment after the answer. */
  async function eventually<T>(read: () => Promise<T | undefined> | T | undefined): Promise<T> {
    for (const deadline = performance.now() + 5000; ; await delay(20)) {
      const found = await read();
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error('not seen within 5 s');
    }
  }

  test.each(['/api/auth/profile', `/api/users/${user.id}`])(
    '%s carries everything',
    async (path) => {
      // The second answer comes from the near copy, the verified token and the reserved requests:
      // the path that is measured.
      await get(path);
      const answer = await get(path);
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ id: user.id, role: 'user' });
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
        ratelimit: expect.stringMatching(/^"client"; r=\d+; t=\d+$/),
        'ratelimit-policy': expect.stringMatching(/^"client"; q=100000000; w=60; pk=:.+:$/),
        etag: `"${user.id}.1.0"`,
        'cache-control': 'private, no-cache',
        'content-security-policy': expect.stringContaining("default-src 'none'"),
        'strict-transport-security': expect.any(String),
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'content-type': 'application/json',
      });
    },
  );

  test('each request counts against the limit', async () => {
    const left = async () =>
      Number(/r=(\d+)/.exec((await get('/api/auth/profile')).headers.get('ratelimit') ?? '')?.[1]);
    const three = async () => [await left(), await left(), await left()] as const;
    // A window may end between two of them, but hardly in both tries.
    const [first, second, third] = await three().then((seen) =>
      seen[2] > seen[0] ? three() : seen,
    );
    expect([second, third]).toEqual([first - 1, first - 2]);
  });

  test('it has its line in the log', async () => {
    const path = `/api/users/${user.id}`;
    const id = (
      await get(path, {
        'X-Request-Id': 'benched-1',
        traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`,
      })
    ).headers.get('x-request-id');
    expect(id).toBe('benched-1');
    const line = await eventually(() =>
      readFileSync(service.logFile, 'utf8')
        .split('\n')
        .find((one) => one.includes('"benched-1"')),
    );
    expect(JSON.parse(line)).toMatchObject({
      level: 'info',
      time: expect.stringMatching(/Z$/),
      request_id: 'benched-1',
      method: 'GET',
      route: '/api/users/:id',
      status: 200,
      duration_ms: expect.any(Number),
      client: '127.0.0.1',
      user_id: user.id,
      trace_id: 'ab'.repeat(16),
      msg: 'request',
    });
  });

  test('it is counted in the metrics', async () => {
    const count = async () => {
      const text = await (await fetch(`http://127.0.0.1:${service.opsPort}/metrics`)).text();
      const found =
        /^http_request_duration_seconds_count\{[^}]*route="\/api\/auth\/profile"[^}]*status="200"[^}]*\} (\d+)$/m.exec(
          text,
        );
      return Number(found?.[1] ?? 0);
    };
    const before = await count();
    for (let i = 0; i < 5; i += 1) await (await get('/api/auth/profile')).arrayBuffer();
    expect(await eventually(async () => ((await count()) >= before + 5 ? true : undefined))).toBe(
      true,
    );
  });

  test('an unchanged copy is confirmed, a wrong token refused, and revocation seen at once', async () => {
    expect(
      (await get('/api/auth/profile', { 'If-None-Match': `"${subject(1).id}.1.0"` })).status,
    ).toBe(304);
    const forged = headers().Authorization.replace(/.{6}$/, 'AAAAAA');
    expect(
      (await fetch(`${service.url}/api/auth/profile`, { headers: { Authorization: forged } }))
        .status,
    ).toBe(401);
    const doomed = subject(5);
    const own = { Authorization: `Bearer ${ours.token(doomed)}` };
    expect((await fetch(`${service.url}/api/auth/profile`, { headers: own })).status).toBe(200);
    expect(
      (await fetch(`${service.url}/api/auth/logout`, { method: 'POST', headers: own })).status,
    ).toBe(204);
    expect((await fetch(`${service.url}/api/auth/profile`, { headers: own })).status).toBe(401);
  });
});
