import { setTimeout as sleep } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { connectCache } from '../../src/cache/create';
import type { Link } from '../../src/cache/link';
import type { Cache } from '../../src/cache/port';
import { STAMP } from '../../src/cache/scripts';
import { bucketOf } from '../../src/cache/stamps';
import { cacheSettings, docRegion, memoryLedger, quiet } from '../support/cache-fixture';
import { type RealRedis, redisAvailable, startRedis, until } from '../support/cache-redis';

const whenRedis = redisAvailable() ? describe : describe.skip;
const TAU = 40;

/** Writers that forget to count themselves. */
const withoutStamps = (link: Link): Link => ({
  ...link,
  get identity() {
    return link.identity;
  },
  run: (script, keys, args) => (script === STAMP ? Promise.resolve(1) : link.run(script, keys, args)),
});

whenRedis('near copies renewed by write stamps, over a real Redis', () => {
  let redis: RealRedis;
  const open: Cache[] = [];
  const truth = new Map<string, number>();
  let ledger = memoryLedger();

  async function worker(environment: Record<string, string> = {}, link: (link: Link) => Link = (one) => one) {
    const metrics = new Registry();
    const settings = cacheSettings({
      REDIS_URL: redis.url,
      NEAR_CACHE_TTL_MS: String(TAU),
      REDIS_COMMAND_TIMEOUT_MS: '1000',
      ...environment,
    });
    const cache = await connectCache({ settings, log: quiet, metrics, ledger, seams: { link } });
    open.push(cache);
    const region = cache.region(docRegion(async (key) => ({ version: truth.get(key) ?? 0 })));
    const read = async (key: string) => {
      const near = region.peek(key);
      return (near === undefined ? await region.get(key) : near)?.version;
    };
    const write = (key: string) => cache.write([`doc:${key}`], async () => truth.set(key, (truth.get(key) ?? 0) + 1).get(key) ?? 0);
    const count = async (name: string) => (await metrics.getSingleMetric(`cache_${name}_total`)?.get())?.values[0]?.value ?? 0;
    /** Reads of these keys that Redis or the database had to answer one by one. */
    const asked = async () => (await count('shared_hits')) + (await count('misses'));
    return { read, write, count, asked };
  }

  type Worker = Awaited<ReturnType<typeof worker>>;

  const tableKey = async () => ((await redis.command('KEYS', '*{stamps}')) as string[])[0] ?? '';

  /** Reads until every key's copy was renewed: only copies that were read after the table was first seen can be. */
  async function settle({ read, count }: Worker, keys: readonly string[]): Promise<void> {
    await until(
      async () => {
        const before = await count('near_renewals');
        for (let passed = 0; passed < 2 * TAU; passed += 10) {
          for (const key of keys) await read(key);
          await sleep(10);
        }
        return (await count('near_renewals')) >= before + keys.length;
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
    ledger = memoryLedger();
  });
  afterAll(() => redis.stop());

  /** One write, while the reader goes on reading and looking; whether it then reads something older. */
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

  it('renews hundreds of copies with one look', async () => {
    const one = await worker();
    await settle(one, KEYS);
    const [asked, looks, renewed] = [await one.asked(), await one.count('stamp_looks'), await one.count('near_renewals')];
    const began = performance.now();
    for (let round = 0; round < 40; round += 1) {
      for (const key of KEYS) await one.read(key);
      await sleep(TAU / 4);
    }
    const lives = (performance.now() - began) / TAU;
    // Read one by one they would have been `lives` times 200; a machine that stalls for more than τ costs one life of all.
    expect((await one.asked()) - asked).toBeLessThan(KEYS.length * lives * 0.5);
    expect((await one.count('near_renewals')) - renewed).toBeGreaterThan(KEYS.length * 3);
    expect((await one.count('stamp_looks')) - looks).toBeLessThanOrEqual(2 * lives + 2);
  });

  it('a renewed copy is not served after a write of another worker was acknowledged', async () => {
    const [reader, writer] = [await worker(), await worker()];
    await settle(reader, ['hot', 'cold']);
    let [renewals, stale] = [0, 0];
    for (let round = 0; round < 40; round += 1) {
      const before = await reader.count('near_renewals');
      for (let passed = 0; passed < 3 * TAU; passed += 5) {
        await reader.read('hot');
        await sleep(5);
      }
      renewals += Number((await reader.count('near_renewals')) > before);
      stale += Number(await staleAfterWrite(reader, writer, 'hot'));
    }
    expect(stale).toBe(0);
    expect(renewals).toBeGreaterThan(20);
  }, 60_000);

  it('is noticed when writers forget to count themselves', async () => {
    const [reader, writer] = [await worker(), await worker({}, withoutStamps)];
    await settle(reader, ['hot']);
    let stale = 0;
    for (let round = 0; round < 10; round += 1) {
      await settle(reader, ['hot']);
      stale += Number(await staleAfterWrite(reader, writer, 'hot'));
    }
    expect(stale).toBeGreaterThan(0);
  }, 60_000);

  it('a table that was lost renews nothing, whatever writers did meanwhile', async () => {
    const [reader, writer] = [await worker(), await worker()];
    await settle(reader, ['hot']);
    const table = await tableKey();
    for (let round = 0; round < 10; round += 1) {
      expect(await redis.command('DEL', table)).toBe(1);
      expect(await staleAfterWrite(reader, writer, 'hot')).toBe(false);
      await settle(reader, ['hot']);
    }
  }, 60_000);

  it('reads again after five seconds, so that what was written past the service is seen', async () => {
    const one = await worker({ CACHE_TTL_SECONDS: '1' });
    await settle(one, ['hot']);
    truth.set('hot', 7);
    const began = performance.now();
    await until(async () => (await one.read('hot')) === 7, 15_000, 'the write past the service');
    expect(performance.now() - began).toBeLessThan(5000 + 1100 + 1000);
  }, 30_000);

  it('a write counts once when it enters and once when it leaves, and keeps the table alive', async () => {
    const one = await worker();
    await settle(one, ['a']);
    const table = await tableKey();
    const offset = `#${4 + bucketOf('doc:b')}`;
    const counted = async () => Number(((await redis.command('BITFIELD', table, 'GET', 'u32', offset)) as number[])[0]);
    await redis.command('PEXPIRE', table, '60000');
    await one.write('b');
    expect(await counted()).toBe(2);
    expect(Number(await redis.command('STRLEN', table))).toBe(16 + 1024 * 4);
    expect(Number(await redis.command('PTTL', table))).toBeGreaterThan(3_500_000);
  });

  it('with τ = 0 nobody looks and nobody counts', async () => {
    const one = await worker({ NEAR_CACHE_TTL_MS: '0' });
    for (let i = 0; i < 20; i += 1) await one.read('a');
    await one.write('a');
    expect([await one.count('stamp_looks'), await tableKey()]).toEqual([0, '']);
  });
});
