import { type Servers, startCluster, startSentinels } from '../../support/cache-deployments';
import { type Checked, check, type RecordedHistory } from '../../support/cache-history';
import { until } from '../../support/cache-redis';
import { startWorker, type TestWorker } from '../../support/cache-workers';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { describeWithRedis } from '../../support/redis';

const KEYS = Array.from({ length: 30 }, (_, i) => `deployment-${i}`);

interface Outcome {
  readonly before: Checked;
  readonly during: Checked;
  readonly after: Checked;
  readonly sharedBefore: number;
  readonly sharedAfter: number;
}

describeWithRedis('Redis Cluster and Sentinel, real servers', () => {
  /**
   * One database each: the workers on a database must share one Redis, or they keep each other from
   * using either.
   */
  const databases: TestMongo[] = [];
  const started: TestWorker[] = [];

  async function workers(
    mongo: TestMongo,
    environment: Record<string, string>,
  ): Promise<TestWorker[]> {
    const all = await Promise.all(
      [1, 2, 3].map(() => startWorker({ mongoUri: mongo.uri, environment })),
    );
    started.push(...all);
    await until(async () => (await up(all)) === all.length, 15_000, 'Redis');
    return all;
  }
  const up = async (all: readonly TestWorker[]): Promise<number> =>
    (await Promise.all(all.map((one) => one.ask<{ up: boolean }>({ op: 'status' })))).filter(
      (status) => status.up,
    ).length;
  const total = async (all: readonly TestWorker[], name: string): Promise<number> =>
    (await Promise.all(all.map((one) => one.count(name)))).reduce((sum, count) => sum + count, 0);
  const record = (one: TestWorker, durationMs: number): Promise<RecordedHistory> =>
    one.ask({
      op: 'history',
      options: { keys: KEYS, readers: 2, writers: 1, durationMs, writePauseMs: 30 },
    });

  /** Both at a time, since most of each is waiting for a failover. */
  let outcomes: { readonly cluster: Promise<Outcome>; readonly sentinel: Promise<Outcome> };

  async function failover(
    deployment: Servers,
    environment: Record<string, string>,
    kill: () => Promise<void> | undefined,
  ): Promise<Outcome> {
    const mongo = await startTestMongo();
    databases.push(mongo);
    try {
      const all = await workers(mongo, { REDIS_URL: deployment.url, ...environment });
      const before = check(await Promise.all(all.map((one) => record(one, 1500))), KEYS.length);
      const sharedBefore = await total(all, 'redis_hits');
      const running = Promise.all(all.map((one) => record(one, 6000)));
      await kill();
      const during = check(await running, KEYS.length);
      await until(
        async () => (await up(all)) === all.length,
        25_000,
        'the promoted replica to be used',
      );
      const sharedAtHealing = await total(all, 'redis_hits');
      const after = check(await Promise.all(all.map((one) => record(one, 1000))), KEYS.length);
      return {
        before,
        during,
        after,
        sharedBefore,
        sharedAfter: (await total(all, 'redis_hits')) - sharedAtHealing,
      };
    } finally {
      await deployment.stop();
    }
  }

  beforeAll(async () => {
    const name = 'main';
    outcomes = {
      cluster: startCluster(3, 1).then((cluster) =>
        failover(cluster, { REDIS_MODE: 'cluster' }, () => cluster.servers[0]?.kill()),
      ),
      sentinel: startSentinels(name).then((one) =>
        failover(one, { REDIS_MODE: 'sentinel', REDIS_SENTINEL_NAME: name }, () =>
          one.master.kill(),
        ),
      ),
    };
    await Promise.allSettled(Object.values(outcomes));
  });
  afterAll(async () => {
    await Promise.all(started.splice(0).map((one) => one.close()));
    await Promise.all(databases.map((one) => one.close()));
  });

  it.each([
    ['a Cluster of three masters that loses one', () => outcomes.cluster],
    ['a master under three Sentinels that dies', () => outcomes.sentinel],
  ])(
    '%s: no failed request, nothing stale, and the promoted replica is used',
    async (_name, outcome) => {
      const { before, during, after, sharedBefore, sharedAfter } = await outcome();
      for (const part of [before, during, after])
        expect(part).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
      expect(during.writes).toBeGreaterThan(10);
      expect(sharedBefore).toBeGreaterThan(0);
      expect(sharedAfter).toBeGreaterThan(0);
    },
  );
});
