import { setTimeout as pause } from 'node:timers/promises';
import type { Deadline } from '../../kernel/deadline';
import { type Closable, TimeoutError, withTimeout } from '../../kernel/lifecycle';
import { createEpochMaintenance } from './epoch-maintenance';
import type { EpochTrack } from './epoch-track';
import { createEpochView, type EpochViewOptions, LAPSE_MS, VALID_MS } from './epoch-view';

/**
 * One process's right to use its Redis entries, and its duty to invalidate those that others use.
 *
 * Each step of a write takes the request's deadline. After it no question to the epoch store begins
 * or is waited for, and the step rejects. Waits in which nothing is asked are not bounded by it.
 */
export interface CacheLease extends Closable {
  start(): void;
  /** Resolves once the epoch store was read, or after `timeoutMs`. */
  settled(timeoutMs: number): Promise<void>;
  /**
   * The generation of keys for reads; undefined: do not use the Redis entries. Called on every
   * read, so it must be cheap.
   */
  generation(): string | undefined;
  /** The same for writes, which rely on it only while the epoch store itself confirms it. */
  confirmedGeneration(): string | undefined;
  /**
   * Before a commit. Without a confirmed generation it reads the epoch store again, and suspends
   * the Redis entries that cannot be invalidated, so that even a crash after the commit leaves
   * nothing stale.
   */
  prepare(deadline?: Deadline): Promise<void>;
  /**
   * After a commit whose invalidation in Redis failed: resolves once no worker can read a Redis
   * entry from before it, with the time of the wait for that (ms). `invalidate` tries once more,
   * and resolves with whether it succeeded. Rejects when this cannot be made certain in time.
   */
  fence(invalidate: () => Promise<boolean>, deadline?: Deadline): Promise<number>;
  /**
   * Last: resolves once no process can serve a local entry from before this call, nor read a Redis
   * entry of a cache that this process has no part in. `wait` lets local entries expire.
   */
  release(wait: (ms: number) => Promise<unknown>, deadline?: Deadline): Promise<void>;
}

export interface CacheLeaseOptions extends EpochViewOptions {
  /** A command-line tool only writes, and leaves the upkeep of the epoch store to the services. */
  readonly isTool: boolean;
  /** Resolves once the Redis connection has an identity, or after `timeoutMs`. */
  connected(timeoutMs: number): Promise<void>;
}

/** An interruption of this worker's Redis connection that is waited for before a suspension. */
const INTERRUPTION_MS = 300;

/** Asks the epoch store within the deadline, and not at all after it. */
async function inTime(ask: () => Promise<void>, deadline: Deadline | undefined): Promise<void> {
  if (deadline === undefined) return ask();
  const leftMs = deadline.leftMs();
  if (leftMs === 0) throw new TimeoutError('the deadline of the write has passed');
  return withTimeout(ask(), leftMs, 'the cache epoch store');
}

export function createCacheLease(options: CacheLeaseOptions): CacheLease {
  const { prefix: ownPrefix, now } = options;
  const view = createEpochView(options);
  const maintenance = createEpochMaintenance({ ...options, view });
  const steps = createWriteSteps(options, view);

  return {
    start: maintenance.start,
    settled: maintenance.settled,
    generation: view.generation,
    confirmedGeneration: view.confirmedGeneration,
    async prepare(deadline) {
      if (ownPrefix !== undefined) await steps.prepareOwn(ownPrefix, deadline);
      await Promise.all(view.others().map((prefix) => steps.ensureSuspended(prefix, deadline)));
    },
    fence: async (invalidate, deadline) =>
      ownPrefix === undefined ? 0 : steps.fenceOwn(ownPrefix, invalidate, deadline),
    async release(wait, deadline) {
      const { members } = options;
      const began = now();
      const shortest = members.greatestTtlMs();
      // A process registered since the last read uses no entries yet, local or in Redis: it waits
      // until that read is no longer relied on.
      const isKnown = view.isConfirmed(began) && members.isRegistered;
      if (isKnown && members.foreign().length === 0 && view.others().length === 0)
        return void (await wait(shortest));
      const waited = wait(shortest);
      await inTime(view.refresh, deadline);
      await Promise.all(view.others().map((prefix) => steps.endUse(prefix, deadline)));
      await waited;
      const restMs = began + members.greatestTtlMs() - now();
      if (restMs > 0) await wait(restMs);
    },
    async close() {
      maintenance.stop();
      view.close();
    },
  };
}

function createWriteSteps(
  { prefix: ownPrefix, identity, connected, log, now }: CacheLeaseOptions,
  view: ReturnType<typeof createEpochView>,
) {
  /**
   * A suspension stops all workers, so a short interruption of this worker's connection is waited
   * for; but not once the entries are suspended.
   */
  async function isConnected(deadline: Deadline | undefined): Promise<boolean> {
    if (identity() === undefined && !view.isSuspended(ownPrefix))
      await connected(Math.min(INTERRUPTION_MS, deadline?.leftMs() ?? INTERRUPTION_MS));
    return identity() !== undefined;
  }

  async function ensureSuspended(prefix: string, deadline: Deadline | undefined): Promise<void> {
    if (!view.isSuspended(prefix)) await inTime(() => view.suspend(prefix), deadline);
  }

  /**
   * Waits until every worker has read the suspension, or no longer relies on an earlier read.
   * Resolves with the time it took.
   */
  async function waitUntilEffective(prefix: string): Promise<number> {
    const began = now();
    const restMs = (view.track(prefix)?.suspendedSince ?? began) + VALID_MS - began;
    if (restMs > 0) await pause(Math.ceil(restMs) + 1);
    return now() - began;
  }

  /**
   * A worker without Redis keeps the suspension alive; otherwise its next write would have to wait
   * for another one.
   */
  function renew(prefix: string, { beatSince }: EpochTrack): void {
    if (now() - beatSince > LAPSE_MS / 4)
      view
        .suspend(prefix)
        .catch((error: unknown) => log.debug({ err: error }, 'renewing a suspension failed'));
  }

  return {
    ensureSuspended,
    async prepareOwn(prefix: string, deadline: Deadline | undefined): Promise<void> {
      if (view.confirmedGeneration() !== undefined) return;
      if (await isConnected(deadline)) await inTime(view.refresh, deadline);
      else await ensureSuspended(prefix, deadline);
    },
    async fenceOwn(
      prefix: string,
      invalidate: () => Promise<boolean>,
      deadline: Deadline | undefined,
    ): Promise<number> {
      const reachesRedis = await isConnected(deadline);
      await inTime(view.refresh, deadline);
      const track = view.own();
      // Still suspended after the commit: what is filled later, under the next epoch, includes the
      // commit.
      if (track?.state.suspended === true) {
        if (!reachesRedis) renew(prefix, track);
        return waitUntilEffective(prefix);
      }
      if (reachesRedis && (await invalidate())) return 0;
      await inTime(() => view.suspend(prefix), deadline);
      return waitUntilEffective(prefix);
    },
    async endUse(prefix: string, deadline: Deadline | undefined): Promise<void> {
      await ensureSuspended(prefix, deadline);
      await waitUntilEffective(prefix);
    },
  };
}
