export interface World {
  /** The worker of each reader. */
  readonly readers: readonly number[];
  readonly workers: number;
  readonly writers: number;
  /** How often a key may be evicted, the whole store flushed, a writer killed. */
  readonly evictions: number;
  readonly flushes: number;
  readonly crashes: number;
  /** How often workers may read the counters; undefined: local entries are not renewed. */
  readonly looks?: number;
  /** How many writers' entries never reach Redis: their writers commit all the same. */
  readonly lostEntries?: number;
}
