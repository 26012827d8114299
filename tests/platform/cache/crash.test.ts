import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import type { Planted } from '../../support/cache-worker';
import { startWorker, type TestWorker } from '../../support/cache-workers';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { describeWithRedis } from '../../support/redis';

const WRITER_TTL_MS = 1000;

describeWithRedis('crashes and floods on real workers', () => {
  let redis: RealRedis;
  let mongo: TestMongo;
  const started: TestWorker[] = [];

  async function worker(more: Record<string, string> = {}, planted?: Planted): Promise<TestWorker> {
    const environment = {
      REDIS_URL: redis.url,
      CACHE_WRITER_TTL_MS: String(WRITER_TTL_MS),
      DB_OPERATION_TIMEOUT_MS: '400',
      ...more,
    };
    const one = await startWorker({
      mongoUri: mongo.uri,
      environment,
      ...(planted === undefined ? {} : { planted }),
    });
    started.push(one);
    await until(async () => (await one.ask<{ up: boolean }>({ op: 'status' })).up, 5000, 'Redis');
    return one;
  }

  beforeAll(async () => {
    [redis, mongo] = await Promise.all([startRedis(), startTestMongo()]);
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((one) => one.close()));
    await redis.command('FLUSHALL');
  });
  afterAll(async () => {
    await Promise.all([redis.stop(), mongo.close()]);
  });

  /**
   * Kills a writer between commit and leaving, on ten keys at a time. Resolves with the number of
   * stale reads after it.
   */
  async function killedWriter(reader: TestWorker, round: number): Promise<number> {
    const writer = await worker();
    const keys = Array.from({ length: 10 }, (_, i) => `crash-${round}-${i}`);
    await Promise.all(keys.map((key) => writer.write(key)));
    await Promise.all(keys.map((key) => writer.hold('committed', key)));
    const lost = keys.map((key) => writer.write(key).catch(() => undefined));
    await Promise.all(keys.map((key) => writer.reached('committed', key)));
    await writer.kill();
    await Promise.all(lost);
    let stale = 0;
    const end = performance.now() + WRITER_TTL_MS * 1.5;
    // The first look may join what was read just before the commit; from τ on, nothing may show the
    // old state.
    await new Promise((resolve) => setTimeout(resolve, 60));
    while (performance.now() < end) {
      const seen = await Promise.all(keys.map((key) => reader.get(key)));
      stale += seen.filter((version) => version !== 2).length;
    }
    return stale;
  }

  it('a writer killed between commit and leaving leaves nothing stale, 50 times', async () => {
    const reader = await worker();
    const stale = await Promise.all([1, 2, 3, 4, 5].map((round) => killedWriter(reader, round)));
    expect(stale).toEqual([0, 0, 0, 0, 0]);
  });

  async function cachedAgain(planted?: Planted): Promise<boolean> {
    const [reader, writer] = await Promise.all([worker(), worker({}, planted)]);
    await writer.write('barred');
    await writer.hold('committed', 'barred');
    writer.write('barred').catch(() => undefined);
    await writer.reached('committed', 'barred');
    await writer.kill();
    const before = await reader.count('fills');
    const end = performance.now() + WRITER_TTL_MS * 2;
    while (performance.now() < end) {
      await reader.get('barred');
      if ((await reader.count('fills')) > before) return true;
    }
    return false;
  }

  it('the key of a killed writer is cached again once its entry has expired', async () => {
    expect(await cachedAgain()).toBe(true);
  });

  it('is noticed when the entries of writers never expire', async () => {
    expect(await cachedAgain('entries-never-expire')).toBe(false);
  });

  it('a hot key that expires under 1,000 readers is loaded at most once per worker', async () => {
    const workers = await Promise.all([1, 2, 3, 4].map(() => worker({ NEAR_CACHE_TTL_MS: '200' })));
    await workers[0]?.write('hot');
    await workers[0]?.get('hot');
    const misses = async () =>
      (await Promise.all(workers.map((one) => one.count('misses')))).reduce(
        (sum, count) => sum + count,
        0,
      );
    await until(async () => (await workers[0]?.count('fills')) === 1, 2000, 'the fill');
    const values = (await redis.command('KEYS', '*{doc:hot}:v2:*')) as string[];
    await redis.command('DEL', ...values);
    await new Promise((resolve) => setTimeout(resolve, 250));
    const before = await misses();
    const served = await Promise.all(
      workers.map((one) => one.ask<number>({ op: 'load-run', key: 'hot', times: 250 })),
    );
    expect(served).toEqual([250, 250, 250, 250]);
    const loads = (await misses()) - before;
    expect(loads).toBeGreaterThan(0);
    expect(loads).toBeLessThanOrEqual(4);
  });

  it('4,000 absent ids take bounded memory and are forgotten', async () => {
    const one = await worker({ NEAR_CACHE_MAX_ENTRIES: '1000', CACHE_NEGATIVE_TTL_SECONDS: '1' });
    const rss = async () => (await one.ask<{ rssMb: number }>({ op: 'status' })).rssMb;
    await one.ask({ op: 'flood', prefix: 'warm', times: 1000 });
    const before = await rss();
    await one.ask({ op: 'flood', prefix: 'absent', times: 4000 });
    expect((await rss()) - before).toBeLessThan(60);
    expect(await one.ask({ op: 'near' })).toBeLessThanOrEqual(1000);
    await until(
      async () => Number(await redis.command('DBSIZE')) === 0,
      8000,
      'Redis to forget them',
    );
  });
});
