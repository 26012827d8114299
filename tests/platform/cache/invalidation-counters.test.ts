import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { connectCache } from '../../../src/platform/cache/connect';
import { bucketOf } from '../../../src/platform/cache/invalidation-counters';
import type { Cache } from '../../../src/platform/cache/port';
import { INCREMENT_COUNTERS } from '../../../src/platform/cache/scripts';
import type { RedisConnection } from '../../../src/platform/redis/connection';
import { cacheSettings, docCache, memoryEpochStore, quiet } from '../../support/cache-fixture';
import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import { describeWithRedis } from '../../support/redis';

const TAU = 40;

/** Writers that do not increment the counters. */
const withoutIncrements = (connection: RedisConnection): RedisConnection => ({
  ...connection,
  get identity() {
    return connection.identity;
  },
  run: (script, keys, args) =>
    script === INCREMENT_COUNTERS ? Promise.resolve(1) : connection.run(script, keys, args),
});

describeWithRedis('local entries renewed by invalidation counters, over a real Redis', () => {
  let redis: RealRedis;
  const open: Cache[] = [];
  const truth = new Map<string, number>();
  let epochStore = memoryEpochStore();

  async function worker(
    environment: Record<string, string> = {},
    wrap: (connection: RedisConnection) => RedisConnection = (one) => one,
  ) {
    const metrics = new Registry();
    const settings = cacheSettings({
      REDIS_URL: redis.url,
      NEAR_CACHE_TTL_MS: String(TAU),
      REDIS_COMMAND_TIMEOUT_MS: '1000',
      ...environment,
    });
    const cache = await connectCache({
      settings,
      log: quiet,
      metrics,
      epochStore,
      seams: { redis: wrap },
    });
    open.push(cache);
    const typed = cache.define(docCache(async (key) => ({ version: truth.get(key) ?? 0 })));
    const read = async (key: string) => {
      const near = typed.peek(key);
      return (near === undefined ? await typed.get(key) : near)?.version;
    };
    const write = (key: string) =>
      cache.write(
        [`doc:${key}`],
        async () => truth.set(key, (truth.get(key) ?? 0) + 1).get(key) ?? 0,
      );
    const count = async (name: string) =>
      (await metrics.getSingleMetric(`cache_${name}_total`)?.get())?.values[0]?.value ?? 0;
    /** Reads of these keys that Redis or the database had to answer one by one. */
    const asked = async () => (await count('redis_hits')) + (await count('misses'));
    return { read, write, count, asked };
  }

  type Worker = Awaited<ReturnType<typeof worker>>;

  const tableKey = async () => ((await redis.command('KEYS', '*{stamps}')) as string[])[0] ?? '';

  /**
   * Reads until every key's entry was renewed: only entries that were read after the first read of
   * the table can be.
   */
  async function settle({ read, count }: Worker, keys: readonly string[]): Promise<void> {
    await until(
      async () => {
        const before = await count('local_renewals');
        for (let passed = 0; passed < 2 * TAU; passed += 10) {
          for (const key of keys) await read(key);
          await sleep(10);
        }
        return (await count('local_renewals')) >= before + keys.length;
      },
      10_000,
      'renewals',
    );
  }

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((cache) => cache.close()));
    await redis.command('FLUSHALL');
    truth.clear();
    epochStore = memoryEpochStore();
  });
  afterAll(() => redis.stop());

  /**
   * One write, while the reader goes on reading. Resolves with whether it then reads an older value.
   */
  async function staleAfterWrite({ read }: Worker, writer: Worker, key: string): Promise<boolean> {
    let acknowledged = false;
    const reading = (async () => {
      while (!acknowledged) {
        await read(key);
        await sleep(2);
      }
    })();
    const written = await writer.write(key);
    const seen = await read(key);
    acknowledged = true;
    await reading;
    return seen !== written;
  }

  const KEYS = Array.from({ length: 200 }, (_, i) => `key-${i}`);

  it('one read of the counters renews hundreds of entries', async () => {
    const one = await worker();
    await settle(one, KEYS);
    const [asked, looks, renewed] = [
      await one.asked(),
      await one.count('counter_reads'),
      await one.count('local_renewals'),
    ];
    const began = performance.now();
    for (let round = 0; round < 40; round += 1) {
      for (const key of KEYS) await one.read(key);
      await sleep(TAU / 4);
    }
    const lives = (performance.now() - began) / TAU;
    // Read one by one they would have been `lives` times 200; a machine that stalls for more than τ
    // costs one life of all.
    expect((await one.asked()) - asked).toBeLessThan(KEYS.length * lives * 0.5);
    expect((await one.count('local_renewals')) - renewed).toBeGreaterThan(KEYS.length * 3);
    expect((await one.count('counter_reads')) - looks).toBeLessThanOrEqual(2 * lives + 2);
  });

  it('a renewed entry is not served after a write of another worker was acknowledged', async () => {
    const [reader, writer] = [await worker(), await worker()];
    await settle(reader, ['hot', 'cold']);
    let [renewals, stale] = [0, 0];
    for (let round = 0; round < 40; round += 1) {
      const before = await reader.count('local_renewals');
      for (let passed = 0; passed < 3 * TAU; passed += 5) {
        await reader.read('hot');
        await sleep(5);
      }
      renewals += Number((await reader.count('local_renewals')) > before);
      stale += Number(await staleAfterWrite(reader, writer, 'hot'));
    }
    expect(stale).toBe(0);
    expect(renewals).toBeGreaterThan(20);
  });

  it('is noticed when writers do not increment the counters', async () => {
    const [reader, writer] = [await worker(), await worker({}, withoutIncrements)];
    await settle(reader, ['hot']);
    let stale = 0;
    for (let round = 0; round < 10; round += 1) {
      await settle(reader, ['hot']);
      stale += Number(await staleAfterWrite(reader, writer, 'hot'));
    }
    expect(stale).toBeGreaterThan(0);
  });

  it('a table that was lost renews nothing, whatever was written meanwhile', async () => {
    const [reader, writer] = [await worker(), await worker()];
    await settle(reader, ['hot']);
    const table = await tableKey();
    for (let round = 0; round < 10; round += 1) {
      expect(await redis.command('DEL', table)).toBe(1);
      expect(await staleAfterWrite(reader, writer, 'hot')).toBe(false);
      await settle(reader, ['hot']);
    }
  });

  it('reads the value again after five seconds, so that writes past the service are seen', async () => {
    const one = await worker({ CACHE_TTL_SECONDS: '1' });
    await settle(one, ['hot']);
    truth.set('hot', 7);
    const began = performance.now();
    await until(async () => (await one.read('hot')) === 7, 15_000, 'the write past the service');
    expect(performance.now() - began).toBeLessThan(5000 + 1100 + 1000);
  });

  it('a write increments its counter when it enters and when it leaves, and extends the TTL of the table', async () => {
    const one = await worker();
    await settle(one, ['a']);
    const table = await tableKey();
    const offset = `#${4 + bucketOf('doc:b')}`;
    const counted = async () =>
      Number(((await redis.command('BITFIELD', table, 'GET', 'u32', offset)) as number[])[0]);
    await redis.command('PEXPIRE', table, '60000');
    await one.write('b');
    expect(await counted()).toBe(2);
    expect(Number(await redis.command('STRLEN', table))).toBe(16 + 1024 * 4);
    expect(Number(await redis.command('PTTL', table))).toBeGreaterThan(3_500_000);
  });

  it('with τ = 0 the counters are neither read nor created', async () => {
    const one = await worker({ NEAR_CACHE_TTL_MS: '0' });
    for (let i = 0; i < 20; i += 1) await one.read('a');
    await one.write('a');
    expect([await one.count('counter_reads'), await tableKey()]).toEqual([0, '']);
  });
});
