import type { Deadline, StartDeadline } from '../../kernel/deadline';
import { problems } from '../../kernel/errors';
import { timed } from '../telemetry/request-work';
import type { CacheLease } from './cache-lease';
import type { Counts } from './cache-metrics';
import type { InvalidationCounters } from './invalidation-counters';
import { type Cache, REDIS_SHARE_MS } from './port';
import { newToken, type RedisEntries } from './redis-entries';

export interface WriterDeps {
  readonly now: () => number;
  readonly counts: Counts;
  readonly redisEntries: RedisEntries | undefined;
  readonly invalidations: Pick<InvalidationCounters, 'increment'> | undefined;
  /** The generation of keys that every reader uses now; undefined: Redis cannot be told. */
  generation(): string | undefined;
  /** The steps of a write. All reject when MongoDB cannot be reached before the deadline. */
  readonly lease: Pick<CacheLease, 'prepare' | 'fence' | 'release'>;
  /** For writes that are given no deadline. */
  readonly startDeadline?: StartDeadline | undefined;
  /** Waits for local entries to expire. */
  pause(ms: number): Promise<unknown>;
}

/**
 * Neither Redis nor the epoch store could be told: the write is not acknowledged, even where the
 * commit has happened.
 */
function unconfirmed(cause: unknown): never {
  throw problems.unconfirmed(cause);
}

export function createWriter(deps: WriterDeps): Cache['write'] {
  const { counts, lease, now, redisEntries } = deps;

  async function waitForLocalEntries(ms: number): Promise<void> {
    if (ms <= 0) return;
    counts.guardWaits += 1;
    // One more than τ: timers may fire up to a millisecond early by the monotonic clock.
    await timed('cache_wait', async () => deps.pause(Math.ceil(ms) + 1));
  }

  return async (groups, commit, { deadline = deps.startDeadline?.(), wroteNothing } = {}) => {
    counts.writes += 1;
    const began = now();
    await lease.prepare(deadline).catch(unconfirmed);
    if (redisEntries === undefined) {
      const result = await commit();
      await lease.release(waitForLocalEntries, deadline).catch(unconfirmed);
      return result;
    }
    const entry = createWriterEntry(deps, redisEntries, groups);
    await entry.enter();
    const enteredMs = now() - began;
    const result = await commit().catch(async (error: unknown) => {
      // Unless nothing was written, the commit may still happen: the entry stays, and keeps the
      // groups uncached until it expires.
      if (wroteNothing?.(error) === true) await entry.leave();
      throw error;
    });
    const leaving = now();
    const hasLeft = await entry.leave();
    // The time that Redis took is not the database's.
    const redisMs = Math.min(enteredMs + now() - leaving, REDIS_SHARE_MS);
    let rest: Deadline | undefined = deadline?.extendedBy(redisMs);
    if (!hasLeft) {
      counts.fences += 1;
      const waitedMs = await timed('cache_wait', () =>
        lease.fence(entry.leave, rest).catch(unconfirmed),
      );
      rest = rest?.extendedBy(waitedMs);
    }
    await lease.release(waitForLocalEntries, rest).catch(unconfirmed);
    return result;
  };
}

const LEAVE_ATTEMPTS = 3;

/** A writer's entry in Redis, in each group that it writes. */
function createWriterEntry(
  { counts, invalidations, generation: currentGeneration }: WriterDeps,
  entries: RedisEntries,
  groups: readonly string[],
) {
  const token = newToken();

  async function allOf(steps: readonly (Promise<void> | undefined)[]): Promise<boolean> {
    const done = await Promise.allSettled(steps);
    const failed = done.filter((one) => one.status === 'rejected').length;
    counts.redisErrors += failed;
    return failed === 0;
  }

  /**
   * One attempt. The counters come last: a reader that sees them and reads again must find no entry
   * from before the commit.
   */
  async function tryLeave(generation: string): Promise<boolean> {
    return (
      (await allOf(groups.map((group) => entries.leave(generation, group, token)))) &&
      (await allOf([invalidations?.increment(generation, groups)])) &&
      currentGeneration() === generation
    );
  }

  return {
    /**
     * Matters only for a writer that dies after its commit: a live one leaves before it
     * acknowledges. So a failure is no obstacle.
     */
    async enter(): Promise<void> {
      const generation = currentGeneration();
      if (generation === undefined) return;
      await allOf([
        ...groups.map((group) => entries.enter(generation, group, token)),
        invalidations?.increment(generation, groups),
      ]);
    },
    /**
     * Resolves with whether, from now on, no Redis entry from before the commit can be read, nor a
     * local entry be renewed.
     */
    async leave(): Promise<boolean> {
      for (let attempt = 0; attempt < LEAVE_ATTEMPTS; attempt += 1) {
        const generation = currentGeneration();
        if (generation === undefined) return false;
        if (await tryLeave(generation)) return true;
      }
      return false;
    },
  };
}
