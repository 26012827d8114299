import type { Deadline } from '../../kernel/deadline';
import type { Closable } from '../../kernel/lifecycle';

/**
 * The coherence claim (docs/cache.md): after `write` has resolved, no `get` that starts later, on
 * any worker or host, returns what the commit replaced.
 *
 * A *group* holds the values that one write invalidates together, in one Redis slot: `user:<id>`
 * holds one value, the user; `list` holds many, one per page of the list.
 */
export interface Cache extends Closable {
  /** Declares a kind of value. Call once per kind when the service is composed. */
  define<T>(spec: TypedCacheSpec<T>): TypedCache<T>;
  /**
   * Enter → commit → leave → wait for the greatest τ in use. Resolves with the result of `commit`.
   * When the commit rejects, so does `write`, and the groups stay uncached until the writer's entry
   * expires: the commit may or may not have happened.
   */
  write<R>(
    groups: readonly string[],
    commit: () => Promise<R>,
    options?: CacheWriteOptions,
  ): Promise<R>;
  /** The state that /health reports. */
  state(): CacheState;
}

export interface CacheWriteOptions {
  /**
   * The request's deadline: after it nothing more is asked of the database, and the write is
   * refused with 503 `write_unconfirmed`, unless its invalidation is already certain.
   */
  readonly deadline?: Deadline | undefined;
  /**
   * True for an error of `commit` that proves that nothing was written (a duplicate key, a failed
   * precondition): the groups may be cached again at once.
   */
  wroteNothing?(error: unknown): boolean;
}

/**
 * The longest time for which Redis can delay a write: a short interruption that is waited for, and
 * one command. A deadline is extended by as much, since it is the database's.
 */
export const REDIS_SHARE_MS = 500;

export interface CacheState {
  readonly kind: 'near' | 'redis';
  /**
   * `degraded`: Redis is configured and not in use, or other processes on this database use another
   * cache; reads go to MongoDB.
   */
  readonly status: 'up' | 'degraded';
  /** A fault that an operator should correct. */
  readonly warning?: string;
}

export interface TypedCacheSpec<T> {
  /**
   * Short name, part of the Redis key. Changes when the shape of T changes, e.g. `user.v1`.
   */
  readonly name: string;
  /** The group that a key belongs to. */
  group(key: string): string;
  /**
   * Reads from the database. null means that there is no such value, and is cached for the shorter
   * negative TTL. Must be bounded in time.
   */
  load(key: string): Promise<T | null>;
  /** The bytes in Redis. */
  encode(value: T): Buffer;
  /** May throw on bytes that it does not know: the read then counts as a miss. */
  decode(bytes: Buffer): T;
}

export interface TypedCache<T> {
  /**
   * The local entry, if it is young enough: no promise, no I/O. undefined: call `get`. null: known
   * to be absent.
   */
  peek(key: string): T | null | undefined;
  get(key: string): Promise<T | null>;
}
