import { type EntryLifetime, expiryOf } from './entry-lifetime';
import { hashOf } from './hash';
import type { CounterSnapshot, InvalidationCounters } from './invalidation-counters';
import { oldestFirst } from './oldest-first';

/** Bytes from Redis, and the value that they were decoded to. */
interface Decoded<T> {
  readonly bytes: Buffer;
  readonly value: T;
}

interface Entry<T> {
  value: T | null;
  /** From when on (monotonic ms) the value is known to hold. */
  began: number;
  /** When its read began. */
  read: number;
  /** When it must no longer be served, unless it is renewed. */
  until: number;
  /** The counter that can renew it, as it was before its read. */
  snapshot: CounterSnapshot | undefined;
  decoded: Decoded<T> | undefined;
  /** The value of `began` when it took its place in the Map's order. */
  queued: number;
}

export interface LocalEntries<T> {
  /** undefined: there is none that is young enough or can be renewed. */
  peek(key: string, at: number): T | null | undefined;
  put(key: string, value: T | null, began: number, snapshot?: CounterSnapshot): void;
  /** Whether there is an entry, whatever its age. */
  has(key: string): boolean;
  /** The last decoded value of this key, whatever its age: right for the same bytes only. */
  decoded(key: string): Decoded<T> | undefined;
  /** Stores it in the entry of this key, if there is one. */
  keep(key: string, decoded: Decoded<T>): void;
  readonly size: number;
}

/**
 * Up to this number expired entries are kept: their keys are read again, and then renewed in place.
 * Entries that come and go, and values that live just long enough for the garbage collector to move
 * them twice, cost more than Redis.
 */
const KEPT_MAX = 2048;

/** Keys that were read lately, one to a slot. */
const RECENT_SLOTS = 8192;

/** The longest time without a read of the value itself: it bounds how long writes past the service
 * stay unseen. */
const RENEWED_MAX_MS = 5000;

export interface LocalEntriesOptions {
  readonly lifetime: EntryLifetime;
  readonly maxEntries: number;
  readonly invalidations?: Pick<InvalidationCounters, 'confirmedAt' | 'refresh'> | undefined;
  onRenewal?(): void;
}

/**
 * Values that were known to hold less than τ ago: when their read began, or when a read of the
 * invalidation counters began. Bounded; the oldest is dropped first.
 */
export function createLocalEntries<T>({
  lifetime,
  maxEntries,
  invalidations,
  onRenewal,
}: LocalEntriesOptions): LocalEntries<T> {
  const entries = new Map<string, Entry<T>>();
  const queue = oldestFirst(entries);
  /** The first entry of the queue, from when it was taken from the iterator until it is deleted. */
  let first: [string, Entry<T>] | undefined;
  const crowd = Math.min(KEPT_MAX, maxEntries);
  const recent = new Uint32Array(RECENT_SLOTS);

  /**
   * Above `crowd` entries a key is admitted when it is read for the second time: of a hundred
   * thousand users hardly any is read again in time, and entries that die between two garbage
   * collections are moved by both (docs/performance.md).
   */
  function isAdmitted(key: string): boolean {
    if (entries.size < crowd) return true;
    const hash = hashOf(key);
    const slot = hash & (RECENT_SLOTS - 1);
    if (recent[slot] === hash) return true;
    recent[slot] = hash;
    return false;
  }

  /** Whether the last read of the counters, if it is recent enough, shows no write of its group. */
  function renew(entry: Entry<T>, at: number): boolean {
    // The lifetime may have been extended since.
    entry.until = expiryOf(lifetime, entry.began);
    if (at < entry.until) return true;
    const seen = entry.snapshot && invalidations?.confirmedAt(entry.snapshot);
    if (
      seen === undefined ||
      at >= expiryOf(lifetime, seen) ||
      entry.read < lifetime.since ||
      seen - entry.read >= RENEWED_MAX_MS
    )
      return false;
    entry.began = Math.max(entry.began, seen);
    entry.until = expiryOf(lifetime, entry.began);
    onRenewal?.();
    return true;
  }

  /** Each insertion drops at most two expired entries: the Map shrinks after a burst, at a bounded
   * cost. */
  function dropOldest(at: number): void {
    for (let budget = 2; budget > 0 && entries.size > crowd; budget -= 1) {
      first ??= queue.next().value;
      const [key, entry] = first;
      const isYoung = at < entry.until;
      // No entry behind it is older.
      if (isYoung && entry.queued === entry.began && entries.size <= maxEntries) return;
      entries.delete(key);
      first = undefined;
      if (!isYoung || entries.size >= maxEntries) continue;
      // Renewed since: goes to the end of the queue.
      entry.queued = entry.began;
      entries.set(key, entry);
    }
  }

  return {
    get size() {
      return entries.size;
    },
    peek(key, at) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      // Ahead of need, so that entries do not all expire before the next read has ended.
      invalidations?.refresh(at);
      return at < entry.until || renew(entry, at) ? entry.value : undefined;
    },
    put(key, value, began, snapshot) {
      const until = expiryOf(lifetime, began);
      if (until <= began || maxEntries === 0) return;
      const present = entries.get(key);
      if (present === undefined) {
        if (!isAdmitted(key)) return;
        entries.set(key, {
          value,
          began,
          read: began,
          until,
          snapshot,
          decoded: undefined,
          queued: began,
        });
        dropOldest(began);
        return;
      }
      // A slow read must not replace the value of a later one.
      if (present.began > began) return;
      present.value = value;
      present.began = began;
      present.read = began;
      present.until = until;
      present.snapshot = snapshot;
    },
    has: (key) => entries.has(key),
    decoded: (key) => entries.get(key)?.decoded,
    keep(key, decoded) {
      const present = entries.get(key);
      if (present !== undefined) present.decoded = decoded;
    },
  };
}
