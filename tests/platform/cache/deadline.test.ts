import { setTimeout as sleep } from 'node:timers/promises';
import { createDeadlines } from '../../../src/kernel/deadline';
import { type ConnectCacheDeps, connectCache } from '../../../src/platform/cache/connect';
import { VALID_MS } from '../../../src/platform/cache/epoch-view';
import type { Cache } from '../../../src/platform/cache/port';
import {
  cacheSettings,
  type MemoryEpochStore,
  memoryEpochStore,
  quiet,
} from '../../support/cache-fixture';
import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import { describeWithRedis } from '../../support/redis';

const DEADLINE_MS = 400;
/** Beyond the deadline: τ, the share of Redis, and what a busy machine takes. */
const GRACE_MS = 400;
const UNCONFIRMED = { status: 503, code: 'write_unconfirmed' };

let epochStore: MemoryEpochStore;
const open: Cache[] = [];

async function start(
  environment: Record<string, string> = {},
  more: Partial<ConnectCacheDeps> = {},
): Promise<Cache> {
  epochStore = memoryEpochStore();
  const settings = cacheSettings(environment);
  const cache = await connectCache({ settings, log: quiet, epochStore, ...more });
  open.push(cache);
  return cache;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((cache) => cache.close()));
});

const startDeadline = createDeadlines(DEADLINE_MS);

/** One write: how it ended, how often it committed, and how long it took. */
async function write(cache: Cache, { during = () => {}, deadline = startDeadline() } = {}) {
  let commits = 0;
  const began = performance.now();
  const outcome = await cache
    .write(
      ['doc:1'],
      async () => {
        commits += 1;
        during();
        return 'written';
      },
      { deadline },
    )
    .catch((error: unknown) => error);
  return { outcome, commits, tookMs: performance.now() - began };
}

/** The database answers nothing, for so long that what was read from it is no longer confirmed. */
async function databaseHangs(): Promise<void> {
  epochStore.hangs = true;
  await sleep(VALID_MS + 50);
}

describe('the deadline of a write, while the database does not answer', () => {
  it('ends the check after the commit: 503, not acknowledged', async () => {
    const cache = await start();
    await databaseHangs();
    const { outcome, commits, tookMs } = await write(cache);
    expect(outcome).toMatchObject(UNCONFIRMED);
    expect(commits).toBe(1);
    expect(tookMs).toBeLessThan(DEADLINE_MS + GRACE_MS);
  });

  it('is given to a write that has none', async () => {
    const cache = await start({}, { startDeadline });
    await databaseHangs();
    const began = performance.now();
    await expect(cache.write(['doc:1'], async () => 'written')).rejects.toMatchObject(UNCONFIRMED);
    expect(performance.now() - began).toBeLessThan(DEADLINE_MS + GRACE_MS);
  });

  it('asks nothing of the database once it is over', async () => {
    const cache = await start();
    await databaseHangs();
    await cache.close();
    await sleep(1100);
    const read = jest.spyOn(epochStore, 'read');
    const { outcome, tookMs } = await write(cache, { deadline: createDeadlines(0)() });
    expect(outcome).toMatchObject(UNCONFIRMED);
    expect(read).not.toHaveBeenCalled();
    expect(tookMs).toBeLessThan(GRACE_MS);
  });
});

describeWithRedis('the deadline of a write, with Redis', () => {
  let redis: RealRedis;
  const startWithRedis = async (): Promise<Cache> => {
    const cache = await start({ REDIS_URL: redis.url });
    await until(() => cache.state().status === 'up', 5000, 'the Redis entries');
    return cache;
  };

  beforeEach(async () => {
    redis = await startRedis();
  });
  afterEach(() => redis.stop());

  it('ends the check before the commit: 503, and nothing is written', async () => {
    const cache = await startWithRedis();
    await databaseHangs();
    const { outcome, commits, tookMs } = await write(cache);
    expect(outcome).toMatchObject(UNCONFIRMED);
    expect(commits).toBe(0);
    expect(tookMs).toBeLessThan(DEADLINE_MS + GRACE_MS);
  });

  it('ends the fence when Redis and the database fail after the commit', async () => {
    const cache = await startWithRedis();
    const { outcome, commits, tookMs } = await write(cache, {
      during() {
        epochStore.hangs = true;
        redis.signal('SIGKILL');
      },
    });
    expect(outcome).toMatchObject(UNCONFIRMED);
    expect(commits).toBe(1);
    expect(tookMs).toBeLessThan(DEADLINE_MS + GRACE_MS);
  });

  it('does not end a wait in which nothing is asked: the write is acknowledged', async () => {
    const cache = await startWithRedis();
    // Another key prefix makes the last step ask the database too, after the wait.
    await epochStore.create('other', { epoch: 1, suspended: true, beat: 0, dataset: '' });
    const { outcome, tookMs } = await write(cache, { during: () => redis.signal('SIGKILL') });
    expect(outcome).toBe('written');
    expect(tookMs).toBeGreaterThan(VALID_MS - 100);
  });
});
