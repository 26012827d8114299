/** One near copy: what was read, and when that read began (monotonic ms). */
interface Copy<T> {
  readonly value: T | null;
  readonly began: number;
}

export interface NearCopies<T> {
  /** undefined: none that is young enough. */
  peek(key: string, at: number): T | null | undefined;
  put(key: string, value: T | null, began: number): void;
  readonly size: number;
}

/**
 * Copies younger than `ttlMs`, counted from the moment their read began. Bounded; the oldest goes first. Nothing here
 * lives longer than τ (tens of ms), so order of insertion is order of age and moving an entry on every hit would buy
 * nothing: a plain Map is the whole structure.
 */
export function createNearCopies<T>(ttlMs: number, maxEntries: number): NearCopies<T> {
  const copies = new Map<string, Copy<T>>();

  /** Each insertion takes at most two expired copies with it: the Map shrinks after a burst, at a bounded price. */
  function dropOldest(at: number): void {
    let budget = 2;
    for (const [key, copy] of copies) {
      if (copies.size <= maxEntries && (budget-- === 0 || at - copy.began < ttlMs)) return;
      copies.delete(key);
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
      if (present !== undefined) {
        // A slow read must not replace what a later one found.
        if (present.began > began) return;
        copies.delete(key);
      }
      copies.set(key, { value, began });
      dropOldest(began);
    },
  };
}
