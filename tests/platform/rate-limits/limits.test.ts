import { randomUUID } from 'node:crypto';
import { entry, type Fleet, startFleet } from '../../support/fleet';
import { type Client, createClient, PASSWORD, uniqueEmail } from '../../support/http';
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis';
import { startService } from '../../support/service';

const LIMIT = 10;
const HOUR = '3600000';
const FRESH = { connection: 'close' };

const login = (client: Client) =>
  client('POST', '/api/auth/login', {
    headers: FRESH,
    body: { email: uniqueEmail('nobody'), password: 'wrong password' },
  });
const count = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

const stores: [string, boolean][] = [
  ['the database', false],
  ...(redisAvailable ? ([['Redis', true]] as [string, boolean][]) : []),
];

if (!redisAvailable)
  test.skip('limits counted in Redis [skipped: redis-server is not installed; npm run provision]', () =>
    undefined);

describe.each(stores)('limits counted in %s, over two worker processes', (_, withRedis) => {
  let redis: TestRedis | undefined;
  let fleet: Fleet;
  let client: Client;
  beforeAll(async () => {
    redis = withRedis ? await startTestRedis() : undefined;
    fleet = await startFleet(2, {
      RATE_LIMIT: 'true',
      RATE_LIMIT_WINDOW_MS: HOUR,
      AUTH_RATE_LIMIT_PER_CLIENT: String(LIMIT),
      // A busy machine must not turn answers into 503.
      DB_OPERATION_TIMEOUT_MS: '4500',
      ...{ ACCEPT_WAIT_MS: '9000', ACCEPT_BUSY_WAIT_MS: '5000' },
      ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
    });
    client = createClient(fleet.url, { unchecked: true });
  });
  afterAll(async () => {
    await fleet?.close();
    await redis?.close();
  });

  test(`of 40 guesses at once exactly ${LIMIT} are heard, whichever worker they reach`, async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => login(client)));
    expect([count(answers, 401), count(answers, 429)]).toEqual([LIMIT, 40 - LIMIT]);
    for (const { status, headers } of answers) {
      if (status === 429) expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    if (withRedis) await dying();
  });

  /** When Redis dies, the limit counts in MongoDB and no request waits for Redis. */
  async function dying(): Promise<void> {
    await redis?.kill('SIGKILL');
    const startedMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 40 }, () => login(client)));
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    // Shows the other answers where there are any.
    expect(answers.filter(({ status }) => status !== 401 && status !== 429)).toEqual([]);
    expect(count(answers, 401)).toBeLessThanOrEqual(LIMIT);
  }
});

test('one Idempotency-Key at two services of one deployment at once: one user', async () => {
  const fleet = await startFleet(2);
  const second = await startService({ entry, env: fleet.environment, timeoutMs: 60_000 });
  try {
    const hosts = [createClient(fleet.url), createClient(second.url)];
    for (let round = 0; round < 5; round += 1) {
      const body = { name: 'Ada', email: uniqueEmail(), password: PASSWORD };
      const headers = { ...FRESH, 'idempotency-key': randomUUID() };
      const send = (i: number) =>
        (hosts[i % 2] as Client)('POST', '/api/auth/register', { headers, body });
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => send(i)));
      expect(count(answers, 201) + count(answers, 409)).toBe(20);
      const again = await Promise.all([send(0), send(1)]);
      const texts = [...answers.filter(({ status }) => status === 201), ...again].map(
        ({ text }) => text,
      );
      expect([
        new Set(texts).size,
        again.map(({ headers: one }) => one.get('idempotent-replayed')),
      ]).toEqual([1, ['true', 'true']]);
    }
  } finally {
    await second.close();
    await fleet.close();
  }
}, 120_000);
