import { randomUUID } from 'node:crypto';
import { type RealRedis, startRedis, until } from '../../support/cache-redis';
import type { Planted } from '../../support/cache-worker';
import { startWorker, type TestWorker } from '../../support/cache-workers';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { describeWithRedis } from '../../support/redis';

const REPEATS = 50;
/** Long compared to a race of 50 keys, so that the events which τ must cover happen. */
const LONG_TAU = { NEAR_CACHE_TTL_MS: '200' };

type Team = readonly [reader: TestWorker, writer: TestWorker, other: TestWorker];
/**
 * Forces one race on one key, and resolves with whether a read that began after the acknowledgement
 * was stale.
 */
type Race = (key: string, team: Team) => Promise<boolean>;

describeWithRedis('races forced on real workers, 50 keys each', () => {
  let redis: RealRedis;
  let mongo: TestMongo;
  const started: TestWorker[] = [];

  const environment = (): Record<string, string> => ({
    REDIS_URL: redis.url,
    // Held steps must not run into the time-outs: those are tested elsewhere.
    REDIS_COMMAND_TIMEOUT_MS: '5000',
    REDIS_QUEUE_MAX: '10000',
    CACHE_LEASE_TTL_MS: '20000',
    CACHE_WRITER_TTL_MS: '20000',
    DB_OPERATION_TIMEOUT_MS: '400',
  });

  async function team(planted?: Planted, more: Record<string, string> = {}): Promise<Team> {
    const options = {
      mongoUri: mongo.uri,
      environment: { ...environment(), ...more },
      ...(planted === undefined ? {} : { planted }),
    };
    const [a, b, c] = await Promise.all([
      startWorker(options),
      startWorker(options),
      startWorker(options),
    ]);
    if (planted !== undefined) started.push(a, b, c);
    await until(
      async () =>
        (
          await Promise.all([a, b, c].map((one) => one.ask<{ up: boolean }>({ op: 'status' })))
        ).every(({ up }) => up),
      5000,
      'Redis',
    );
    return [a, b, c];
  }

  /** Of 50 keys raced at the same time, how many were read stale. */
  async function stale(race: Race, workers: Team): Promise<number> {
    const results = await Promise.all(
      Array.from({ length: REPEATS }, () => race(randomUUID().slice(0, 13), workers)),
    );
    return results.filter(Boolean).length;
  }

  async function someoneIsStale(
    key: string,
    workers: readonly TestWorker[],
    written: number,
  ): Promise<boolean> {
    const seen = await Promise.all(workers.map((worker) => worker.get(key)));
    return seen.some((version) => (version ?? 0) < written);
  }

  beforeAll(async () => {
    [redis, mongo] = await Promise.all([startRedis(), startTestMongo()]);
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((worker) => worker.close()));
  });
  afterAll(async () => {
    await Promise.all([redis.stop(), mongo.close()]);
  });

  const lateFill: Race = async (key, [reader, writer, other]) => {
    await writer.write(key);
    await reader.hold('fill', key);
    await reader.get(key);
    await reader.reached('fill', key);
    const written = await writer.write(key);
    await reader.release('fill', key);
    const landed = async () =>
      (await reader.count('fills')) + (await reader.count('fills_refused')) >=
      (await reader.count('leases_taken'));
    await until(landed, 10_000, 'the fill to land');
    return someoneIsStale(key, [other, reader, writer], written);
  };

  const refillBetweenEntryAndCommit: Race = async (key, [reader, writer, other]) => {
    await writer.write(key);
    await writer.hold('entered', key);
    const writing = writer.write(key);
    await writer.reached('entered', key);
    await reader.get(key);
    await writer.release('entered', key);
    const written = await writing;
    return someoneIsStale(key, [other, reader, writer], written);
  };

  const twoWriters: Race = async (key, [reader, writer, other]) => {
    await writer.write(key);
    await other.hold('entered', key);
    const second = other.write(key);
    await other.reached('entered', key);
    const first = await writer.write(key);
    if (await someoneIsStale(key, [reader, writer], first)) return true;
    await other.release('entered', key);
    return someoneIsStale(key, [reader, writer, other], await second);
  };

  const slowRedisOfOneWorker: Race = async (key, [reader, writer]) => {
    await writer.write(key);
    await reader.hold('read', key);
    const early = reader.get(key);
    await reader.reached('read', key);
    const written = await writer.write(key);
    await reader.release('read', key);
    const late = someoneIsStale(key, [reader], written);
    await early;
    return (await late) || someoneIsStale(key, [reader], written);
  };

  const joiningAnOldRead: Race = async (key, [reader, writer]) => {
    await writer.write(key);
    await reader.hold('loaded', key);
    const old = reader.get(key);
    await reader.reached('loaded', key);
    const written = await writer.write(key);
    const fresh = reader.get(key);
    await reader.release('loaded', key);
    await old;
    return ((await fresh) ?? 0) < written;
  };

  const localEntry: Race = async (key, [reader, writer]) => {
    await writer.write(key);
    await writer.hold('entered', key);
    const writing = writer.write(key);
    await writer.reached('entered', key);
    // The writer has entered: this reads the database, and keeps a local entry of the value that is
    // about to be replaced.
    await reader.get(key);
    await writer.release('entered', key);
    return someoneIsStale(key, [reader], await writing);
  };

  const eviction =
    (which: 'n' | 'w' | 'v'): Race =>
    async (key, [reader, writer, other]) => {
      await writer.write(key);
      await writer.hold('entered', key);
      const writing = writer.write(key);
      await writer.reached('entered', key);
      await evict(key, which);
      await reader.hold('fill', key);
      const early = reader.get(key);
      await early;
      await evict(key, which);
      await writer.release('entered', key);
      const written = await writing;
      await reader.release('fill', key);
      await evict(key, which);
      return someoneIsStale(key, [other, reader, writer], written);
    };

  async function evict(key: string, which: string): Promise<void> {
    const names = (await redis.command('KEYS', `*{doc:${key}}:${which}*`)) as string[];
    if (names.length > 0) await redis.command('DEL', ...names);
  }

  describe('on the protocol as it is', () => {
    let whole: Team;
    beforeAll(async () => {
      whole = await team(undefined, LONG_TAU);
    });
    afterAll(() => Promise.all(whole.map((worker) => worker.close())));

    it.each<[string, Race]>([
      ['a fill that arrives after the write', lateFill],
      ['a refill between entry and commit', refillBetweenEntryAndCommit],
      ['two writers', twoWriters],
      ['a worker whose Redis is slow', slowRedisOfOneWorker],
      ['joining a read that began before the write', joiningAnOldRead],
      ['a local entry from just before the write', localEntry],
      ['eviction of the nonce', eviction('n')],
      ['eviction of the writers', eviction('w')],
      ['eviction of the value', eviction('v')],
    ])('nothing stale after %s', async (_name, race) => {
      expect(await stale(race, whole)).toBe(0);
    });
  });

  it.each<[string, Planted, Race]>([
    ['fills need no lease', 'no-lease', lateFill],
    ['a write only deletes after its commit', 'delete-only', lateFill],
    ['a write does not wait', 'no-wait', localEntry],
    ['a read of any age is joined', 'join-any-age', joiningAnOldRead],
  ])('is noticed when %s', async (_name, planted, race) => {
    expect(await stale(race, await team(planted, { NEAR_CACHE_TTL_MS: '3000' }))).toBeGreaterThan(
      0,
    );
  });
});
