import type { CacheSeams } from '../../../src/platform/cache/cache';
import { connectCache } from '../../../src/platform/cache/connect';
import type { Cache } from '../../../src/platform/cache/port';
import type { RedisConnection } from '../../../src/platform/redis/connection';
import { cacheSettings, docCache, memoryEpochStore, quiet } from '../../support/cache-fixture';
import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import { describeWithRedis } from '../../support/redis';

describeWithRedis('a Redis that fails', () => {
  let redis: RealRedis;
  let epochStore = memoryEpochStore();
  const open: Cache[] = [];
  const truth = new Map<string, number>();

  async function worker(seams: CacheSeams = {}) {
    const cache = await connectCache({
      settings: cacheSettings({ REDIS_URL: redis.url }),
      log: quiet,
      epochStore,
      seams,
    });
    open.push(cache);
    const typed = cache.define(
      docCache(async (key) => {
        const version = truth.get(key);
        return version === undefined ? null : { version };
      }),
    );
    const write = (key: string, version: number) =>
      cache.write([`doc:${key}`], async () => void truth.set(key, version));
    const up = () =>
      until(() => cache.state().status === 'up', 8000, 'the Redis entries to be in use');
    return { cache, typed, write, up };
  }

  beforeEach(async () => {
    redis = await startRedis();
    epochStore = memoryEpochStore();
    truth.clear();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((cache) => cache.close()));
    await redis.stop();
  });

  /**
   * Reads until the value itself is there: its lease stands in the same place before it. Again and
   * again, since a machine under load may time out a command of one read.
   */
  const untilFilled = ({ typed }: Awaited<ReturnType<typeof worker>>) =>
    until(
      async () => {
        await typed.get('1');
        const [name] = (await redis.command('KEYS', '*:v2:*')) as string[];
        return name !== undefined && String(await redis.command('GET', name)).charAt(16) === 'V';
      },
      15_000,
      'the fill',
    );

  /** The slowest of twenty reads, one after the other, a second after Redis was stopped. */
  async function slowestRead(seams: CacheSeams): Promise<number> {
    const { typed, up } = await worker(seams);
    await up();
    redis.signal('SIGSTOP');
    const begun = performance.now();
    for (let i = 0; performance.now() - begun < 1000; i += 1) {
      await typed.get(`early-${i}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    let slowest = 0;
    for (let i = 0; i < 20; i += 1) {
      const start = performance.now();
      await typed.get(`late-${i}`);
      slowest = Math.max(slowest, performance.now() - start);
    }
    return slowest;
  }

  it('delays no read once the breaker is open', async () => {
    expect(await slowestRead({})).toBeLessThan(90);
  });
  it('is noticed when there is no breaker', async () => {
    expect(await slowestRead({ withoutBreaker: true })).toBeGreaterThanOrEqual(90);
  });

  /**
   * Restarts Redis with its data from before the last write. Resolves with the oldest version read
   * then.
   */
  async function readAfterRollback(seams: CacheSeams): Promise<number> {
    const a = await worker(seams);
    const b = await worker(seams);
    await Promise.all([a.up(), b.up()]);
    await a.write('1', 1);
    await untilFilled(b);
    await redis.command('SAVE');
    await a.write('1', 2);
    await redis.kill();
    await redis.restart();
    let oldest = 2;
    const look = async (): Promise<void> => {
      oldest = Math.min(oldest, (await b.typed.get('1'))?.version ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    // While it reconnects, and for a while after it is in use again.
    for (const end = performance.now() + 1000; performance.now() < end && oldest === 2; )
      await look();
    await Promise.all([a.up(), b.up()]);
    for (const end = performance.now() + 500; performance.now() < end && oldest === 2; )
      await look();
    return oldest;
  }

  it('that restarts with an old snapshot shows nothing of it', async () => {
    expect(await readAfterRollback({})).toBe(2);
  });
  it('is noticed when the keys do not change with the data set', async () => {
    const oneDataset = (connection: RedisConnection): RedisConnection => ({
      ...connection,
      get identity() {
        return connection.identity === undefined ? undefined : 'always-the-same';
      },
    });
    expect(await readAfterRollback({ redis: oneDataset })).toBe(1);
  });

  it('that refuses writes is not used, and is used again by itself', async () => {
    const a = await worker();
    const b = await worker();
    await a.write('1', 1);
    await b.typed.get('1');
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '1');
    await a.write('1', 2);
    expect((await b.typed.get('1'))?.version).toBe(2);
    expect(a.cache.state().status).toBe('degraded');
    await redis.command('CONFIG', 'SET', 'min-replicas-to-write', '0');
    await Promise.all([a.up(), b.up()]);
    expect((await b.typed.get('1'))?.version).toBe(2);
  });

  it('serves reads while the database does not answer', async () => {
    const a = await worker();
    const b = await worker();
    await a.write('1', 1);
    await untilFilled(b);
    epochStore.hangs = true;
    truth.clear();
    const end = performance.now() + 3500;
    while (performance.now() < end) {
      expect((await a.typed.get('1'))?.version).toBe(1);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  it('together with a failing epoch store: the write is not acknowledged, reads do not fail', async () => {
    const a = await worker();
    await a.write('1', 1);
    await redis.kill();
    epochStore.down = true;
    await expect(a.write('1', 2)).rejects.toMatchObject({ status: 503, code: 'write_unconfirmed' });
    expect((await a.typed.get('1'))?.version).toBeGreaterThanOrEqual(1);
    epochStore.down = false;
    await a.write('1', 3);
    expect((await a.typed.get('1'))?.version).toBe(3);
  });
});
