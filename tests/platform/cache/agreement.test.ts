import { Registry } from 'prom-client';
import type { CacheSeams } from '../../../src/platform/cache/cache';
import { connectCache } from '../../../src/platform/cache/connect';
import type { Cache } from '../../../src/platform/cache/port';
import {
  cacheSettings,
  docCache,
  type MemoryEpochStore,
  memoryEpochStore,
  quiet,
} from '../../support/cache-fixture';
import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import { describeWithRedis } from '../../support/redis';

const open: Cache[] = [];
let epochStore: MemoryEpochStore;
let truth = 0;

interface Process {
  readonly environment: Record<string, string>;
  readonly seams?: CacheSeams;
  readonly isTool?: boolean;
}

async function start({ environment, seams = {}, isTool = false }: Process) {
  const metrics = new Registry();
  const cache = await connectCache({
    settings: cacheSettings(environment),
    log: quiet,
    metrics,
    epochStore,
    seams,
    isTool,
  });
  open.push(cache);
  const typed = cache.define(docCache(async () => ({ version: truth })));
  const read = async (): Promise<number> =>
    (typed.peek('1') ?? (await typed.get('1')))?.version ?? -1;
  const write = () =>
    cache.write(['doc:1'], async () => {
      truth += 1;
      return truth;
    });
  const count = async (name: string) =>
    (await metrics.getSingleMetric(`cache_${name}_total`)?.get())?.values[0]?.value ?? 0;
  return { cache, read, write, count };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

/** How many writes of one process another one read stale right after they had resolved. */
async function staleReads(reading: Process, writing: Process, times = 6): Promise<number> {
  epochStore = memoryEpochStore();
  const reader = await start(reading);
  await until(
    async () => {
      await reader.read();
      return (await reader.count('local_hits')) + (await reader.count('redis_hits')) > 3;
    },
    5000,
    'cached reads',
  );
  const writer = await start(writing);
  let stale = 0;
  let stopped = false;
  const busy = (async () => {
    while (!stopped) {
      await reader.read();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  for (let i = 0; i < times; i += 1) {
    const version = await writer.write();
    if ((await reader.read()) < version) stale += 1;
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  stopped = true;
  await busy;
  return stale;
}

describe('local entries with two values of τ', () => {
  const short = { NEAR_CACHE_TTL_MS: '0' };
  const long = { NEAR_CACHE_TTL_MS: '400' };

  it('a writer waits for the greatest τ in use', async () => {
    expect(await staleReads({ environment: long }, { environment: short })).toBe(0);
  });

  it('is noticed when it waits for its own τ', async () => {
    const seams: CacheSeams = {
      members: (members) => Object.create(members, { greatestTtlMs: { value: () => 0 } }),
    };
    expect(await staleReads({ environment: long }, { environment: short, seams })).toBeGreaterThan(
      0,
    );
  });

  it('a new τ is not used before every writer knows of it, and no earlier read is kept', async () => {
    epochStore = memoryEpochStore({ settled: false });
    const writer = await start({ environment: short });
    const reader = await start({ environment: long });
    const begun = performance.now();
    while (performance.now() - begun < 1300) {
      await reader.read();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await reader.count('local_hits')).toBe(0);
    await until(
      async () => {
        await reader.read();
        return (await reader.count('local_hits')) > 0;
      },
      3000,
      'local entries',
    );
    const version = await writer.write();
    expect(await reader.read()).toBe(version);
  });
});

describeWithRedis('Redis entries that not every process shares', () => {
  let redis: RealRedis;
  const near = { NEAR_CACHE_TTL_MS: '0' };
  const here = () => ({ ...near, REDIS_URL: redis.url });
  /** Ignores the other processes, and does nothing about their Redis entries. */
  const blind: CacheSeams = {
    members: (members) => Object.create(members, { foreign: { value: () => [] } }),
    lease: (lease) => ({
      ...lease,
      prepare: async () => undefined,
      release: async () => undefined,
      fence: async () => 0,
    }),
  };

  beforeAll(async () => {
    redis = await startRedis();
  });
  beforeEach(() => redis.command('FLUSHALL'));
  afterAll(() => redis.stop());

  const worlds: [string, () => Omit<Process, 'seams'>][] = [
    [
      'another database number of one server',
      () => ({ environment: { ...near, REDIS_URL: `${redis.url}/5` } }),
    ],
    ['another key prefix', () => ({ environment: { ...here(), CACHE_KEY_PREFIX: 'other' } })],
    ['no Redis', () => ({ environment: near })],
    ['a tool without Redis', () => ({ environment: near, isTool: true })],
    [
      'a tool with another key prefix',
      () => ({ environment: { ...here(), CACHE_KEY_PREFIX: 'other' }, isTool: true }),
    ],
    [
      'a tool with another database number',
      () => ({ environment: { ...near, REDIS_URL: `${redis.url}/5` }, isTool: true }),
    ],
  ];

  it.each(worlds)(
    'a write by a process with %s is seen at once',
    async (_, other) => {
      expect(await staleReads({ environment: here() }, other())).toBe(0);
    },
    30_000,
  );

  it.each(worlds)('%s is noticed when it ignores the others', async (_, other) => {
    expect(
      await staleReads({ environment: here(), seams: blind }, { ...other(), seams: blind }),
    ).toBeGreaterThan(0);
  });

  it('are disabled while such a process is registered, and every process says so', async () => {
    epochStore = memoryEpochStore();
    const first = await start({ environment: here() });
    await until(() => first.cache.state().status === 'up', 3000, 'the Redis entries');
    const other = await start({ environment: near });
    await until(() => first.cache.state().status === 'degraded', 3000, 'the first to notice');
    const states = [first.cache.state(), other.cache.state()];
    expect(states).toMatchObject([
      { kind: 'redis', status: 'degraded', warning: expect.stringContaining('(no Redis)') },
      {
        kind: 'near',
        status: 'degraded',
        warning: expect.stringContaining('(Redis database 0, prefix auth)'),
      },
    ]);
    // As in a day-old deployment: no write of the other waits for a suspension again.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const begun = performance.now();
    await other.write();
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(first.cache.state().status).toBe('degraded');
  });

  it('are used again two seconds after a tool has written', async () => {
    epochStore = memoryEpochStore();
    const first = await start({ environment: here() });
    const tool = await start({ environment: near, isTool: true });
    await tool.write();
    expect(first.cache.state()).toMatchObject({ kind: 'redis', status: 'degraded' });
    await tool.cache.close();
    await until(() => first.cache.state().status === 'up', 5000, 'the Redis entries');
  });
});
