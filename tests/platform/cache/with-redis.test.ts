import { Registry } from 'prom-client';
import { connectCache } from '../../../src/platform/cache/connect';
import type { Cache } from '../../../src/platform/cache/port';
import { cacheSettings, docCache, memoryEpochStore, quiet } from '../../support/cache-fixture';
import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import { describeWithRedis } from '../../support/redis';

describeWithRedis('the cache over a real Redis', () => {
  let redis: RealRedis;
  const open: Cache[] = [];
  const truth = new Map<string, number>();
  let loads = 0;
  let epochStore = memoryEpochStore();

  async function worker(environment: Record<string, string> = {}) {
    const metrics = new Registry();
    const cache = await connectCache({
      settings: cacheSettings({ REDIS_URL: redis.url, ...environment }),
      log: quiet,
      metrics,
      epochStore,
    });
    open.push(cache);
    const typed = cache.define(
      docCache(async (key) => {
        loads += 1;
        const version = truth.get(key);
        return version === undefined ? null : { version };
      }),
    );
    const write = (key: string, version: number) =>
      cache.write([`doc:${key}`], async () => void truth.set(key, version));
    const count = async (name: string) =>
      (await metrics.getSingleMetric(`cache_${name}_total`)?.get())?.values[0]?.value ?? 0;
    return { cache, typed, write, count };
  }

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((cache) => cache.close()));
    truth.clear();
    loads = 0;
    epochStore = memoryEpochStore();
  });
  afterAll(() => redis.stop());

  it('loads a value once for all workers, and after a write every worker sees the new one', async () => {
    const [a, b] = [await worker(), await worker()];
    truth.set('1', 1);
    expect(await a.typed.get('1')).toEqual({ version: 1 });
    await until(async () => (await a.count('fills')) === 1, 1000, 'the fill');
    expect(await b.typed.get('1')).toEqual({ version: 1 });
    expect(loads).toBe(1);
    await a.write('1', 2);
    expect(await b.typed.get('1')).toEqual({ version: 2 });
    expect(await a.typed.get('1')).toEqual({ version: 2 });
  });

  it('remembers for the negative TTL that there is none', async () => {
    const [a, b] = [await worker(), await worker()];
    expect(await a.typed.get('absent')).toBeNull();
    await until(async () => (await a.count('fills')) === 1, 1000, 'the fill');
    // On a busy machine the local entry may end between the two calls.
    const peeked = async () => (await b.typed.get('absent')) === null && b.typed.peek('absent');
    await until(async () => (await peeked()) === null, 5000, 'a local entry');
    expect(loads).toBe(1);
    await b.write('absent', 1);
    expect(await a.typed.get('absent')).toEqual({ version: 1 });
  });

  it('gives every key a TTL', async () => {
    const a = await worker();
    truth.set('2', 1);
    await a.typed.get('2');
    await a.typed.get('none');
    await a.write('2', 2);
    await a.cache.write(['doc:3'], () => Promise.reject(new Error('lost'))).catch(() => undefined);
    const keys = (await redis.command('KEYS', '*')) as string[];
    expect(keys.length).toBeGreaterThan(2);
    for (const key of keys) expect(Number(await redis.command('PTTL', key))).toBeGreaterThan(0);
  });

  it('serves without Redis and heals when it comes back', async () => {
    const a = await worker();
    truth.set('4', 1);
    await redis.kill();
    await until(() => a.cache.state().status === 'degraded', 2000, 'noticing');
    expect(await a.typed.get('4')).toEqual({ version: 1 });
    await a.write('4', 2);
    expect(await a.typed.get('4')).toEqual({ version: 2 });
    await redis.restart();
    await until(() => a.cache.state().status === 'up', 5000, 'healing');
    expect(await a.typed.get('4')).toEqual({ version: 2 });
  });

  it('starts while Redis is down', async () => {
    await redis.kill();
    const a = await worker();
    expect(a.cache.state()).toEqual({
      ...{ kind: 'redis', status: 'degraded' },
      warning: expect.stringContaining('The log says why'),
    });
    await redis.restart();
    await until(() => a.cache.state().status === 'up', 5000, 'healing');
  });
});
