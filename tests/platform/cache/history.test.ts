import { setTimeout as sleep } from 'node:timers/promises';
import { type Checked, check, type RecordedHistory } from '../../support/cache-history';
import { startProxy } from '../../support/cache-proxy';
import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import type { Planted } from '../../support/cache-worker';
import { startWorker, type TestWorker } from '../../support/cache-workers';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { describeWithRedis } from '../../support/redis';

const KEYS = Array.from({ length: 30 }, (_, i) => `history-${i}`);
const RUN_MS = 2000;

describeWithRedis('histories of four workers with three clients each', () => {
  let redis: RealRedis;
  let mongo: TestMongo;
  const started: TestWorker[] = [];

  async function worker(port = redis.port, planted?: Planted): Promise<TestWorker> {
    const environment = { REDIS_URL: `redis://127.0.0.1:${port}`, REDIS_COMMAND_TIMEOUT_MS: '300' };
    const one = await startWorker({
      mongoUri: mongo.uri,
      environment,
      ...(planted === undefined ? {} : { planted }),
    });
    started.push(one);
    return one;
  }

  function record(one: TestWorker, durationMs = RUN_MS): Promise<RecordedHistory> {
    return one.ask({
      op: 'history',
      options: { keys: KEYS, readers: 2, writers: 1, durationMs, writePauseMs: 20, burst: 10 },
    });
  }

  async function claimHolds(workers: readonly TestWorker[], durationMs = RUN_MS): Promise<Checked> {
    const result = check(
      await Promise.all(workers.map((one) => record(one, durationMs))),
      KEYS.length,
    );
    expect(result).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
    expect(result.writes).toBeGreaterThan(10);
    return result;
  }

  let four: readonly TestWorker[] = [];

  beforeAll(async () => {
    [redis, mongo] = await Promise.all([startRedis(), startTestMongo()]);
    four = await Promise.all([1, 2, 3, 4].map(() => worker()));
    started.length = 0;
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((one) => one.close()));
  });
  afterAll(async () => {
    await Promise.all(four.map((one) => one.close()));
    await Promise.all([redis.stop(), mongo.close()]);
  });

  // How many reads that takes in is the machine's affair; `npm run faults` has the long runs.
  it('no read is older than an acknowledged write', async () => {
    for (let rounds = 0; rounds < 3; rounds += 1) await claimHolds(four);
  });

  it('nor with 0 to 70 ms to Redis for two of the workers', async () => {
    const proxy = await startProxy(redis.port);
    proxy.delay(() => Math.random() * 35);
    try {
      await claimHolds(
        await Promise.all([worker(), worker(), worker(proxy.port), worker(proxy.port)]),
      );
    } finally {
      await proxy.close();
    }
  });

  it('nor while Redis is flushed five times a second', async () => {
    let on = true;
    const flushing = (async () => {
      while (on) {
        await redis.command('FLUSHALL');
        await sleep(200);
      }
    })();
    await claimHolds(four);
    on = false;
    await flushing;
  });

  it('nor while workers are killed', async () => {
    const victims = (async () => {
      for (let i = 0; i < 3; i += 1) {
        const victim = await worker();
        record(victim).catch(() => undefined);
        await sleep(400);
        await victim.kill();
      }
    })();
    await claimHolds(four);
    await victims;
  });

  it('nor while one worker is cut off from Redis again and again', async () => {
    const proxy = await startProxy(redis.port);
    try {
      const cut = await worker(proxy.port);
      const workers = [cut, ...(await Promise.all([worker(), worker(), worker()]))];
      const cutting = (async () => {
        for (const ms of [600, 1200]) {
          await sleep(500);
          proxy.drop(true);
          await sleep(ms);
          proxy.drop(false);
        }
      })();
      await claimHolds(workers, 4500);
      await cutting;
      expect(await cut.count('fences')).toBeGreaterThan(0);
    } finally {
      await proxy.close();
    }
  });

  it('is noticed when writes do not wait', async () => {
    const workers = await Promise.all([1, 2, 3, 4].map(() => worker(redis.port, 'no-wait')));
    await until(
      async () =>
        check(await Promise.all(workers.map((one) => record(one, 700))), KEYS.length).stale > 0,
      10_000,
      'a stale read',
    );
  });
});
