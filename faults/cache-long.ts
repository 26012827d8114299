import { type Checked, check, type RecordedHistory } from '../tests/support/cache-history';
import { startProxy } from '../tests/support/cache-proxy';
import { redisAvailable, startRedis, until } from '../tests/support/cache-redis';
import type { Planted } from '../tests/support/cache-worker';
import { startWorker, type TestWorker } from '../tests/support/cache-workers';
import { startTestMongo } from '../tests/support/mongo';
import { latencyOf, startCheckedLoad, withCacheStage } from './cache-kit';
import { pause } from './process-kit';
import { type RunOptions, type Scenario, SkipScenario } from './scenario';

const KEYS = Array.from({ length: 50 }, (_, i) => `history-${i}`);

/**
 * Six workers of the cache alone: two near Redis, two 0 to 70 ms away, one killed every 10 s, one
 * cut off every 20 s; and FLUSHALL every 5 s.
 */
async function longHistory({ quick, planted }: RunOptions) {
  if (!redisAvailable()) throw new SkipScenario('redis-server is not installed');
  const [redis, mongo] = await Promise.all([startRedis(), startTestMongo()]);
  const [slow, cutting] = await Promise.all([startProxy(redis.port), startProxy(redis.port)]);
  slow.delay(() => Math.random() * 35);
  const fault: Planted | undefined = planted ? 'no-wait' : undefined;
  const worker = (port: number): Promise<TestWorker> =>
    startWorker({
      mongoUri: mongo.uri,
      environment: { REDIS_URL: `redis://127.0.0.1:${port}`, REDIS_COMMAND_TIMEOUT_MS: '300' },
      ...(fault === undefined ? {} : { planted: fault }),
    });
  const record = (one: TestWorker, durationMs: number): Promise<RecordedHistory> =>
    one.ask({
      op: 'history',
      options: { keys: KEYS, readers: 2, writers: 1, durationMs, writePauseMs: 40, burst: 1 },
    });
  const steady = await Promise.all(
    [redis.port, redis.port, slow.port, slow.port, cutting.port].map(worker),
  );
  let on = true;
  const kills = (async () => {
    while (on) {
      const victim = await worker(redis.port);
      record(victim, 60_000).catch(() => undefined);
      await pause(quick ? 700 : 10_000);
      await victim.kill();
    }
  })();
  const flushes = (async () => {
    for (let n = 1; on; n += 1) {
      await pause(quick ? 500 : 5000);
      await redis.command('FLUSHALL');
      cutting.drop(n % 4 === 3);
    }
  })();
  const sums = { reads: 0, writes: 0, stale: 0, staleForMs: 0, failed: 0 };
  const add = (one: Checked): void => {
    sums.reads += one.reads;
    sums.writes += one.writes;
    sums.stale += one.stale;
    sums.staleForMs = Math.max(sums.staleForMs, one.staleForMs);
    sums.failed += one.failedReads + one.failedWrites;
  };
  const end = performance.now() + (quick ? 4000 : planted ? 30_000 : 600_000);
  try {
    // In parts, to bound the memory. The first reads of a part are not checked against the writes
    // before it.
    while (performance.now() < end)
      add(
        check(
          await Promise.all(steady.map((one) => record(one, quick ? 4000 : 30_000))),
          KEYS.length,
        ),
      );
  } finally {
    on = false;
    await Promise.all([kills, flushes]);
    await Promise.all(steady.map((one) => one.close()));
    await Promise.all([slow.close(), cutting.close(), redis.stop(), mongo.close()]);
  }
  const enough = sums.reads >= (quick ? 10_000 : planted ? 0 : 1_000_000);
  return {
    met: sums.stale === 0 && sums.failed === 0 && enough,
    figures: {
      reads: sums.reads,
      writes: sums.writes,
      stale: sums.stale,
      failed: sums.failed,
      'stale for ms': Math.round(sums.staleForMs),
    },
  };
}

export const history: readonly Scenario[] = [
  {
    name: 'history',
    title:
      'Ten minutes of reads and writes while workers are killed, slow and cut off, and Redis is flushed',
    goal: '0 stale, 0 failed, ≥ 1,000,000 reads',
    planted: 'writes do not wait',
    run: longHistory,
  },
];

async function absentIds({ quick }: RunOptions) {
  if (!redisAvailable()) throw new SkipScenario('redis-server is not installed');
  const [redis, mongo] = await Promise.all([startRedis(), startTestMongo()]);
  const one = await startWorker({
    mongoUri: mongo.uri,
    environment: { REDIS_URL: redis.url, CACHE_NEGATIVE_TTL_SECONDS: '1' },
  });
  const used = async () =>
    Number(/used_memory:(\d+)/.exec(String(await redis.command('INFO', 'memory')))?.[1] ?? 0) /
    1048576;
  try {
    await one.ask({ op: 'flood', prefix: 'warm', times: quick ? 5000 : 20_000 });
    const [rssBefore, redisBefore] = [
      (await one.ask<{ rssMb: number }>({ op: 'status' })).rssMb,
      await used(),
    ];
    await one.ask({ op: 'flood', prefix: 'absent', times: quick ? 5000 : 50_000 });
    const grownMb = (await one.ask<{ rssMb: number }>({ op: 'status' })).rssMb - rssBefore;
    const redisMb = Math.round(((await used()) - redisBefore) * 10) / 10;
    const from = performance.now();
    await until(
      async () => Number(await redis.command('DBSIZE')) === 0,
      20_000,
      'Redis to forget',
    ).catch(() => undefined);
    const left = Number(await redis.command('DBSIZE'));
    return {
      met: grownMb <= 60 && left === 0,
      figures: {
        'worker grew MB': grownMb,
        'Redis grew MB': redisMb,
        'keys left': left,
        'after ms': Math.round(performance.now() - from),
      },
    };
  } finally {
    await one.close();
    await Promise.all([redis.stop(), mongo.close()]);
  }
}

export const flood: readonly Scenario[] = [
  {
    name: 'absent-ids',
    title: '50,000 ids that do not exist',
    goal: 'the worker grows by ≤ 60 MB, Redis forgets them all',
    run: absentIds,
  },
];

/** The latency of a write at each τ: PUT over HTTP, under little load. */
async function priceOf(tau: number, { quick }: RunOptions) {
  return withCacheStage({ NEAR_CACHE_TTL_MS: String(tau) }, async (stage) => {
    const load = startCheckedLoad(stage, 60, 1);
    await pause(quick ? 3000 : 20_000);
    const last = load.elapsedMs();
    const records = await load.stop();
    const at = (q: number): number => latencyOf(records, 'write', 1000, last, q);
    const p50 = at(0.5);
    return {
      met: p50 <= tau + 25 && load.verdict().stale === 0,
      figures: { 'PUT p50 ms': p50, 'p90 ms': at(0.9), 'p99 ms': at(0.99) },
    };
  });
}

export const prices: readonly Scenario[] = [0, 10, 50].map((tau) => ({
  name: `put-at-${tau}-ms`,
  title: `PUT at τ = ${tau} ms`,
  goal: `p50 ≤ τ + 25 ms, 0 stale`,
  run: (options: RunOptions) => priceOf(tau, options),
}));
