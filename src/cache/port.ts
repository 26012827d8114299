import type { Closable } from '../lifecycle';

/**
 * The coherence claim (docs/cache.md): after `write` has resolved, no `get` that starts later, on any worker or host,
 * returns what the commit replaced.
 *
 * A *group* is what one write invalidates together and what lives in one Redis slot: `user:<id>` holds one value, the
 * user; `list` holds many, one per page of the list.
 */
export interface Cache extends Closable {
  /** Declares a kind of value. Call once per kind when the service is put together. */
  region<T>(spec: RegionSpec<T>): Region<T>;
  /**
   * IN → commit → OUT → wait τ. Resolves with what `commit` resolved with. When the commit rejects, its error is passed
   * on and the groups stay uncached until the writers' count expires (the commit may or may not have happened), unless
   * `isHarmless(error)` says that nothing was written (e.g. a duplicate key or a failed precondition).
   */
  write<R>(groups: readonly string[], commit: () => Promise<R>, isHarmless?: (error: unknown) => boolean): Promise<R>;
  /** What /health shows. */
  state(): CacheState;
}

export interface CacheState {
  readonly kind: 'near' | 'redis';
  /** `degraded`: Redis is configured and cannot be reached; reads go to the database. */
  readonly status: 'up' | 'degraded';
}

export interface RegionSpec<T> {
  /** Short name, used in metrics. Changes when the shape of T changes, e.g. `user.v1`: it is part of the Redis key. */
  readonly name: string;
  /** The group that a key belongs to. */
  group(key: string): string;
  /** Reads the truth. null is "there is none", and is cached for the shorter negative TTL. Must be bounded in time. */
  load(key: string): Promise<T | null>;
  /** To and from the bytes in Redis. `decode` may throw on bytes it does not know: that counts as a miss. */
  encode(value: T): Buffer;
  decode(bytes: Buffer): T;
}

export interface Region<T> {
  /** The near copy, if it is young enough: no promise, no I/O. undefined: ask `get`. null: known to be absent. */
  peek(key: string): T | null | undefined;
  get(key: string): Promise<T | null>;
}
