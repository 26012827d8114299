/** Bytes from Redis, and what they were decoded to. */
export interface Decoded<T> {
  readonly bytes: Buffer;
  readonly value: T;
}

/** One near copy: what was read, and when that read began (monotonic ms). */
interface Copy<T> {
  value: T | null;
  began: number;
  decoded: Decoded<T> | undefined;
  /** What `began` was when it took its place in the Map's order. */
  queued: number;
}

export interface NearCopies<T> {
  /** undefined: none that is young enough. */
  peek(key: string, at: number): T | null | undefined;
  put(key: string, value: T | null, began: number): void;
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

/** Copies younger than `ttlMs`, counted from the moment their read began. Bounded; the oldest goes first. */
export function createNearCopies<T>(ttlMs: number, maxEntries: number): NearCopies<T> {
  const copies = new Map<string, Copy<T>>();

  /** Each insertion takes at most two expired copies with it: the Map shrinks after a burst, at a bounded price. */
  function dropOldest(at: number): void {
    for (let budget = 2; budget > 0 && copies.size > Math.min(KEPT_MAX, maxEntries); budget -= 1) {
      const [key, copy] = copies.entries().next().value as [string, Copy<T>];
      const isYoung = at - copy.began < ttlMs;
      // Nothing behind it has stood there for longer.
      if (isYoung && copy.queued === copy.began && copies.size <= maxEntries) return;
      copies.delete(key);
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
      return copy !== undefined && at - copy.began < ttlMs ? copy.value : undefined;
    },
    put(key, value, began) {
      if (ttlMs === 0 || maxEntries === 0) return;
      const present = copies.get(key);
      if (present === undefined) {
        copies.set(key, { value, began, decoded: undefined, queued: began });
        dropOldest(began);
        return;
      }
      // A slow read must not replace what a later one found.
      if (present.began > began) return;
      present.value = value;
      present.began = began;
    },
    has: (key) => copies.has(key),
    decoded: (key) => copies.get(key)?.decoded,
    keep(key, decoded) {
      const present = copies.get(key);
      if (present !== undefined) present.decoded = decoded;
    },
  };
}
