import { check, type RecordedHistory } from '../support/cache-history';
import { redisAvailable, until } from '../support/cache-redis';
import { startCluster, startSentinels } from '../support/cache-topologies';
import { startWorker, type TestWorker } from '../support/cache-workers';
import { startTestMongo, type TestMongo } from '../support/mongo';

const whenRedis = redisAvailable() ? describe : describe.skip;
const KEYS = Array.from({ length: 30 }, (_, i) => `topology-${i}`);

whenRedis('Redis Cluster and Sentinel, real servers', () => {
  let mongo: TestMongo;
  const started: TestWorker[] = [];

  async function workers(environment: Record<string, string>): Promise<TestWorker[]> {
    const all = await Promise.all([1, 2, 3].map(() => startWorker({ mongoUri: mongo.uri, environment })));
    started.push(...all);
    await until(async () => (await up(all)) === all.length, 15_000, 'Redis');
    return all;
  }
  const up = async (all: readonly TestWorker[]): Promise<number> =>
    (await Promise.all(all.map((one) => one.ask<{ up: boolean }>({ op: 'status' })))).filter((status) => status.up).length;
  const total = async (all: readonly TestWorker[], name: string): Promise<number> =>
    (await Promise.all(all.map((one) => one.count(name)))).reduce((sum, count) => sum + count, 0);
  const record = (one: TestWorker, durationMs: number): Promise<RecordedHistory> =>
    one.ask({ op: 'history', options: { keys: KEYS, readers: 2, writers: 1, durationMs, writePauseMs: 30 } });

  beforeAll(async () => {
    mongo = await startTestMongo();
  }, 60_000);
  afterEach(async () => {
    await Promise.all(started.splice(0).map((one) => one.close()));
  });
  afterAll(() => mongo.close());

  it('a Cluster of three masters: shared, coherent, and again after the loss of a master', async () => {
    const cluster = await startCluster(3, 1);
    try {
      const all = await workers({ REDIS_URL: cluster.url, REDIS_MODE: 'cluster' });
      const before = check(await Promise.all(all.map((one) => record(one, 2500))), KEYS.length);
      expect(before).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
      expect(await total(all, 'shared_hits')).toBeGreaterThan(0);
      const running = Promise.all(all.map((one) => record(one, 9000)));
      await cluster.servers[0]?.kill();
      expect(check(await running, KEYS.length)).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
      await until(async () => (await up(all)) === all.length, 15_000, 'the promoted replica to be used');
      const hits = await total(all, 'shared_hits');
      await Promise.all(all.map((one) => record(one, 1000)));
      expect(await total(all, 'shared_hits')).toBeGreaterThan(hits);
    } finally {
      await cluster.stop();
    }
  }, 90_000);

  it('a Sentinel failover: no failed request, nothing stale, and the new master is used', async () => {
    const sentinels = await startSentinels('main');
    try {
      const all = await workers({ REDIS_URL: sentinels.url, REDIS_MODE: 'sentinel', REDIS_SENTINEL_NAME: 'main' });
      const running = Promise.all(all.map((one) => record(one, 9000)));
      await sentinels.master.kill();
      expect(check(await running, KEYS.length)).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
      await until(async () => (await up(all)) === all.length, 20_000, 'the new master to be used');
      expect(String(await sentinels.replica.command('INFO', 'replication'))).toContain('role:master');
      const hits = await total(all, 'shared_hits');
      await Promise.all(all.map((one) => record(one, 1000)));
      expect(await total(all, 'shared_hits')).toBeGreaterThan(hits);
    } finally {
      await sentinels.stop();
    }
  }, 90_000);
});
