import { withOneRetry } from '../../kernel/one-retry';
import type { Logger } from '../telemetry/logger';
import { coalesced } from './coalesce';
import { EPOCH_STORE_TIMEOUT_MS, type EpochState, type EpochStore } from './epoch-store';
import { advance, type EpochTrack, logChange } from './epoch-track';
import type { CacheMembers } from './members';

/**
 * A worker relies on a read of the epoch store for VALID_MS from the beginning of that read. So
 * VALID_MS after a suspension no worker uses the Redis entries, whether or not it can be reached;
 * and since a suspension lasts at least LAPSE_MS > VALID_MS, no two workers ever use two
 * generations at a time.
 */
export const VALID_MS = 1500;
export const LAPSE_MS = 2000;
/** A read that failed later than this proves nothing: the process was frozen meanwhile. */
const TIMELY_MS = EPOCH_STORE_TIMEOUT_MS + 200;
const RETRY = { pauseMs: 50 };

/** The state of the epoch store as this process knows it, and how long it may rely on it. */
export interface EpochView {
  /** Whether the epoch store was ever read. */
  readonly hasRead: boolean;
  /** The state of this process's own key prefix. */
  own(): EpochTrack | undefined;
  track(prefix: string): EpochTrack | undefined;
  /** All other key prefixes. */
  others(): string[];
  isSuspended(prefix: string | undefined): boolean;
  /** The generation of keys for reads; undefined: do not use the Redis entries. */
  generation(): string | undefined;
  /** The same for writes, which rely on it only while the epoch store itself confirms it. */
  confirmedGeneration(): string | undefined;
  isConfirmed(at: number): boolean;
  read(): Promise<void>;
  /** A read that begins after the call, retried once. Concurrent calls share one. */
  refresh(): Promise<void>;
  suspend(prefix: string): Promise<void>;
  /**
   * After a read that began at `began` has failed: readers go on with what they know, since MongoDB
   * is unreachable and Redis is what is left.
   */
  readFailed(began: number): void;
  close(): void;
}

export interface EpochViewOptions {
  readonly epochStore: EpochStore;
  /** Key prefix of this process's Redis entries; undefined: it has none. */
  readonly prefix: string | undefined;
  readonly members: CacheMembers;
  /** The data set behind this worker's Redis connection now. */
  identity(): string | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

export function createEpochView(options: EpochViewOptions): EpochView {
  const { epochStore, prefix: ownPrefix, log, now } = options;
  const tracks = new Map<string, EpochTrack>();
  let generation: string | undefined;
  let dataset: string | undefined;
  let hasRead = false;
  let validUntil = 0;
  let confirmedUntil = 0;
  let closed = false;

  function record(prefix: string, seen: EpochState): void {
    const before = tracks.get(prefix);
    const after = advance(before, seen, now());
    tracks.set(prefix, after);
    if (prefix !== ownPrefix) return;
    logChange(log, before?.state, after.state);
    dataset = after.state.dataset;
    generation =
      after.state.suspended || closed ? undefined : `${after.state.epoch.toString(36)}.${dataset}`;
  }

  async function read(): Promise<void> {
    const began = now();
    const { states, members } = await epochStore.read();
    for (const [prefix, state] of states) record(prefix, state);
    options.members.observe(members, began);
    hasRead = true;
    confirmedUntil = Math.max(confirmedUntil, began + VALID_MS);
    validUntil = Math.max(validUntil, confirmedUntil);
  }

  const suspend = coalescedByKey(async (prefix) =>
    record(prefix, await epochStore.suspend(prefix)),
  );
  const validBefore = (limit: number): string | undefined =>
    generation !== undefined && now() < limit && dataset === options.identity()
      ? generation
      : undefined;

  return {
    get hasRead() {
      return hasRead;
    },
    own: () => (ownPrefix === undefined ? undefined : tracks.get(ownPrefix)),
    track: (prefix) => tracks.get(prefix),
    others: () => [...tracks.keys()].filter((prefix) => prefix !== ownPrefix),
    isSuspended: (prefix) => prefix !== undefined && tracks.get(prefix)?.state.suspended === true,
    generation: () => validBefore(validUntil),
    confirmedGeneration: () => validBefore(confirmedUntil),
    isConfirmed: (at) => at < confirmedUntil,
    read,
    refresh: coalesced(() => withOneRetry(read, RETRY)),
    suspend,
    readFailed(began) {
      if (now() - began < TIMELY_MS) validUntil = now() + VALID_MS;
    },
    close() {
      closed = true;
      generation = undefined;
    },
  };
}

/** `run` for each key as `coalesced` does it, retried once. */
function coalescedByKey(run: (key: string) => Promise<void>): (key: string) => Promise<void> {
  const calls = new Map<string, () => Promise<void>>();
  return (key) => {
    const known = calls.get(key);
    if (known !== undefined) return known();
    const call = coalesced(() => withOneRetry(() => run(key), RETRY));
    calls.set(key, call);
    return call();
  };
}
