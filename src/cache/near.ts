import { hashOf } from './hash';
import type { Mark, Stamps } from './stamps';

/** Bytes from Redis, and what they were decoded to. */
export interface Decoded<T> {
  readonly bytes: Buffer;
  readonly value: T;
}

/** One near copy. `began`: from when on (monotonic ms) it is known to hold; `read`: when the read of it began. */
interface Copy<T> {
  value: T | null;
  began: number;
  read: number;
  /** What it can be renewed by, as it stood when its read began. */
  mark: Mark | undefined;
  decoded: Decoded<T> | undefined;
  /** What `began` was when it took its place in the Map's order. */
  queued: number;
}

export interface NearCopies<T> {
  /** undefined: none that is young enough, or that can be renewed. */
  peek(key: string, at: number): T | null | undefined;
  put(key: string, value: T | null, began: number, mark?: Mark): void;
  /** Whether there is a copy, whatever its age. */
  has(key: string): boolean;
  /** What was decoded last for this key, whatever its age: good for the same bytes alone. */
  decoded(key: string): Decoded<T> | undefined;
  /** Keeps it with the copy of this key, if there is one. */
  keep(key: string, decoded: Decoded<T>): void;
  readonly size: number;
}

/**
 * Expired copies are kept while there are no more than this: their keys come again, and are then renewed in place. A Map
 * whose entries come and go, and values that live just long enough to be moved by the collector twice, cost more than Redis.
 */
const KEPT_MAX = 2048;

/** Keys that came lately, one to a slot. */
const RECENT_SLOTS = 8192;

/** So what is written past the service, and so past the stamps, is seen after as long at most. */
const RENEWED_MAX_MS = 5000;

export interface NearOptions {
  readonly ttlMs: number;
  readonly maxEntries: number;
  readonly stamps?: Pick<Stamps, 'confirmed' | 'look'> | undefined;
  onRenewal?(): void;
}

/** Copies known to hold less than `ttlMs` ago: since their read began, or since a look at the stamps. Bounded; the oldest goes first. */
export function createNearCopies<T>({ ttlMs, maxEntries, stamps, onRenewal }: NearOptions): NearCopies<T> {
  const copies = new Map<string, Copy<T>>();
  // One iterator for good: a new one would pass all that a Map still keeps of what was deleted at its front.
  let queue = copies.entries();
  let first: [string, Copy<T>] | undefined;
  const recent = new Uint32Array(RECENT_SLOTS);

  /**
   * Once there is a crowd, a key gets a place when it comes for the second time: of a hundred thousand users hardly anyone
   * is back in time, and copies that die between two collections cost a fifth of such a read (docs/performance.md).
   */
  function isWelcome(key: string): boolean {
    if (copies.size < Math.min(KEPT_MAX, maxEntries)) return true;
    const hash = hashOf(key);
    const slot = hash & (RECENT_SLOTS - 1);
    if (recent[slot] === hash) return true;
    recent[slot] = hash;
    return false;
  }

  /** The copy that has stood in the queue for longest, until it is deleted. There must be one. */
  function oldest(): [string, Copy<T>] {
    while (first === undefined) {
      first = queue.next().value;
      if (first === undefined) queue = copies.entries();
    }
    return first;
  }

  /** Whether nobody had written its group when the stamps were last looked at, and that is recent enough. */
  function renew(copy: Copy<T>, at: number): boolean {
    const seen = copy.mark && stamps?.confirmed(copy.mark);
    if (seen === undefined || at - seen >= ttlMs || seen - copy.read >= RENEWED_MAX_MS) return false;
    copy.began = Math.max(copy.began, seen);
    onRenewal?.();
    return true;
  }

  /** Each insertion takes at most two expired copies with it: the Map shrinks after a burst, at a bounded price. */
  function dropOldest(at: number): void {
    for (let budget = 2; budget > 0 && copies.size > Math.min(KEPT_MAX, maxEntries); budget -= 1) {
      const [key, copy] = oldest();
      const isYoung = at - copy.began < ttlMs;
      // Nothing behind it has stood there for longer.
      if (isYoung && copy.queued === copy.began && copies.size <= maxEntries) return;
      copies.delete(key);
      first = undefined;
      if (!isYoung || copies.size >= maxEntries) continue;
      // Renewed since: back to the end of the queue.
      copy.queued = copy.began;
      copies.set(key, copy);
    }
  }

  return {
    get size() {
      return copies.size;
    },
    peek(key, at) {
      const copy = copies.get(key);
      if (copy === undefined) return undefined;
      // Ahead of need, so that copies do not all expire before the next look has shown anything.
      stamps?.look(at);
      return at - copy.began < ttlMs || renew(copy, at) ? copy.value : undefined;
    },
    put(key, value, began, mark) {
      if (ttlMs === 0 || maxEntries === 0) return;
      const present = copies.get(key);
      if (present === undefined) {
        if (!isWelcome(key)) return;
        copies.set(key, { value, began, read: began, mark, decoded: undefined, queued: began });
        dropOldest(began);
        return;
      }
      // A slow read must not replace what a later one found.
      if (present.began > began) return;
      present.value = value;
      present.began = began;
      present.read = began;
      present.mark = mark;
    },
    has: (key) => copies.has(key),
    decoded: (key) => copies.get(key)?.decoded,
    keep(key, decoded) {
      const present = copies.get(key);
      if (present !== undefined) present.decoded = decoded;
    },
  };
}
