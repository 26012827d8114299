import { setTimeout as sleep } from 'node:timers/promises';
import { type Checked, check, type RecordedHistory } from '../support/cache-history';
import { startProxy } from '../support/cache-proxy';
import { type RealRedis, redisAvailable, startRedis, until } from '../support/cache-redis';
import type { Planted } from '../support/cache-worker';
import { startWorker, type TestWorker } from '../support/cache-workers';
import { startTestMongo, type TestMongo } from '../support/mongo';

const whenRedis = redisAvailable() ? describe : describe.skip;
const KEYS = Array.from({ length: 30 }, (_, i) => `history-${i}`);
const RUN_MS = 3500;

whenRedis('histories of four workers with three clients each', () => {
  let redis: RealRedis;
  let mongo: TestMongo;
  const started: TestWorker[] = [];
  let reads = 0;

  async function worker(port = redis.port, planted?: Planted): Promise<TestWorker> {
    const environment = { REDIS_URL: `redis://127.0.0.1:${port}`, REDIS_COMMAND_TIMEOUT_MS: '300' };
    const one = await startWorker({ mongoUri: mongo.uri, environment, ...(planted === undefined ? {} : { planted }) });
    started.push(one);
    return one;
  }

  function record(one: TestWorker, durationMs = RUN_MS): Promise<RecordedHistory> {
    return one.ask({ op: 'history', options: { keys: KEYS, readers: 2, writers: 1, durationMs, writePauseMs: 20 } });
  }

  async function claimHolds(workers: readonly TestWorker[], durationMs = RUN_MS): Promise<Checked> {
    const result = check(await Promise.all(workers.map((one) => record(one, durationMs))), KEYS.length);
    reads += result.reads;
    expect(result).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
    expect(result.writes).toBeGreaterThan(50);
    return result;
  }

  const four = (): Promise<TestWorker[]> => Promise.all([1, 2, 3, 4].map(() => worker()));

  beforeAll(async () => {
    [redis, mongo] = await Promise.all([startRedis(), startTestMongo()]);
  }, 60_000);
  afterEach(async () => {
    await Promise.all(started.splice(0).map((one) => one.close()));
  });
  afterAll(async () => {
    await Promise.all([redis.stop(), mongo.close()]);
    // Only when all ran: a single one may be chosen with -t.
    if (reads > 0) expect(reads).toBeGreaterThan(30_000);
  });

  it('no read is older than an acknowledged write', async () => {
    await claimHolds(await four());
  });

  it('nor with 0 to 70 ms to Redis for two of the workers', async () => {
    const proxy = await startProxy(redis.port);
    proxy.delay(() => Math.random() * 35);
    try {
      await claimHolds(await Promise.all([worker(), worker(), worker(proxy.port), worker(proxy.port)]));
    } finally {
      await proxy.close();
    }
  });

  it('nor while Redis is flushed five times a second', async () => {
    const workers = await four();
    let on = true;
    const flushing = (async () => {
      while (on) {
        await redis.command('FLUSHALL');
        await sleep(200);
      }
    })();
    await claimHolds(workers);
    on = false;
    await flushing;
  });

  it('nor while workers are killed', async () => {
    const workers = await four();
    const victims = (async () => {
      for (let i = 0; i < 4; i += 1) {
        const victim = await worker();
        record(victim).catch(() => undefined);
        await sleep(400);
        await victim.kill();
      }
    })();
    await claimHolds(workers);
    await victims;
  });

  it('nor while one worker is cut off from Redis again and again', async () => {
    const proxy = await startProxy(redis.port);
    try {
      const cut = await worker(proxy.port);
      const workers = [cut, ...(await Promise.all([worker(), worker(), worker()]))];
      const cutting = (async () => {
        for (const ms of [700, 1500]) {
          await sleep(500);
          proxy.drop(true);
          await sleep(ms);
          proxy.drop(false);
        }
      })();
      await claimHolds(workers, 6000);
      await cutting;
      expect(await cut.count('fences')).toBeGreaterThan(0);
    } finally {
      await proxy.close();
    }
  });

  it('is noticed when writes do not wait', async () => {
    const workers = await Promise.all([1, 2, 3, 4].map(() => worker(redis.port, 'no-wait')));
    await until(
      async () => check(await Promise.all(workers.map((one) => record(one, 700))), KEYS.length).stale > 0,
      10_000,
      'a stale read',
    );
  });
});
