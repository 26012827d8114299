import { type RealRedis, redisAvailable, startRedis } from '../../support/cache-redis';
import {
  plantedFor,
  rolled,
  type SettingsWorld,
  settingsWorlds,
  shifted,
} from '../../support/cache-rolls';
import { describeWithRedis } from '../../support/redis';

// One of each kind; all of them, and for longer: npm run faults -- settings.
const NEAR = ['tau-50-0-near'];
const WITH_REDIS = ['tau-400-0-redis', 'database-number', 'redis-taken-away'];

let redis: RealRedis | undefined;
beforeAll(async () => {
  redis = redisAvailable() ? await startRedis() : undefined;
});
afterAll(() => redis?.stop());

function worldOf(name: string): SettingsWorld {
  const world = settingsWorlds(redis?.url).find((one) => one.name === name);
  if (world === undefined) throw new Error(`there is no world ${name}`);
  return world;
}

async function holds(name: string): Promise<void> {
  const result = await rolled(worldOf(name));
  expect(result).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
  expect(result.writes).toBeGreaterThan(10);
}

/** Up to five times: whether a read is stale is a matter of chance. */
async function staleWithin(once: () => Promise<{ stale: number }>): Promise<number> {
  let stale = 0;
  for (let round = 0; round < 5 && stale === 0; round += 1) stale = (await once()).stale;
  return stale;
}

const isNoticed = async (name: string): Promise<void> => {
  const world = worldOf(name);
  expect(await staleWithin(() => rolled(world, { planted: plantedFor(world) }))).toBeGreaterThan(0);
};

describe('a rolling change of τ without Redis', () => {
  it.each(NEAR)('%s: nothing stale', holds, 60_000);
  it(
    'is noticed when every process waits for its own τ',
    () => isNoticed('tau-400-0-near'),
    120_000,
  );
});

describeWithRedis('a rolling change of τ or of the cache, with Redis', () => {
  it.each(WITH_REDIS)('%s: nothing stale', holds, 60_000);
  it(
    'is noticed when every process ignores the others',
    () => isNoticed('database-number'),
    120_000,
  );
});

describeWithRedis('Redis replies that are shifted by one, again and again', () => {
  it('show nothing stale, are counted, and fail nothing', async () => {
    const result = await shifted(redis?.port ?? 0);
    expect(result).toMatchObject({ stale: 0, failedReads: 0, failedWrites: 0 });
    expect(result.misdelivered).toBeGreaterThan(2);
  });

  it('are noticed when every reply is believed', async () => {
    expect(
      await staleWithin(() => shifted(redis?.port ?? 0, { planted: 'believes-all' })),
    ).toBeGreaterThan(0);
  }, 120_000);
});
