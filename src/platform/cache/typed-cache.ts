import { timed } from '../telemetry/request-work';
import { type EntryLifetime, expiryOf } from './entry-lifetime';
import type { InvalidationCounters } from './invalidation-counters';
import { createLocalEntries } from './local-entries';
import type { TypedCache, TypedCacheSpec } from './port';
import { createReadThrough, type ReadContext, type ReadThroughDeps } from './read-through';
import type { CacheTrace } from './traced-cache';

export interface TypedCacheDeps extends ReadThroughDeps {
  readonly now: () => number;
  readonly lifetime: EntryLifetime;
  readonly maxLocalEntries: number;
  /** For tests: age up to which a read under way is joined, instead of the lifetime. */
  readonly joinMs?: number | undefined;
  readonly invalidations: InvalidationCounters | undefined;
  /** Set where tracing is on. */
  readonly trace?: CacheTrace | undefined;
}

interface ReadInFlight<T> {
  readonly began: number;
  readonly result: Promise<T | null>;
}

export interface CountedTypedCache<T> extends TypedCache<T> {
  readonly localSize: number;
}

export function createTypedCache<T>(
  spec: TypedCacheSpec<T>,
  deps: TypedCacheDeps,
): CountedTypedCache<T> {
  const { now, lifetime, counts, invalidations } = deps;
  const local = createLocalEntries<T>({
    lifetime,
    maxEntries: deps.maxLocalEntries,
    invalidations,
    onRenewal() {
      counts.localRenewals += 1;
    },
  });
  const untraced = createReadThrough(spec, deps, local);
  const readThrough = deps.trace?.read(untraced) ?? untraced;
  const inFlight = new Map<string, ReadInFlight<T>>();
  const joinableUntil = (began: number): number =>
    deps.joinMs === undefined ? expiryOf(lifetime, began) : began + deps.joinMs;

  function start(key: string, began: number): Promise<T | null> {
    const context: ReadContext = { isRenewable: false };
    if (lifetime.ttlMs === 0) return readThrough(key, context);
    // Taken before the read, so that every write after it is noticed.
    const snapshot = invalidations?.snapshot(spec.group(key));
    const result = readThrough(key, context);
    const read = { began, result };
    inFlight.set(key, read);
    const finish = (): void => {
      if (inFlight.get(key) === read) inFlight.delete(key);
    };
    result.then((value) => {
      finish();
      local.put(key, value, began, context.isRenewable ? snapshot : undefined);
    }, finish);
    return result;
  }

  return {
    get localSize() {
      return local.size;
    },
    peek(key) {
      const value = local.peek(key, now());
      if (value !== undefined) counts.localHits += 1;
      return value;
    },
    get(key) {
      const at = now();
      const value = local.peek(key, at);
      if (value !== undefined) {
        counts.localHits += 1;
        return Promise.resolve(value);
      }
      const read = inFlight.get(key);
      if (read !== undefined && at < joinableUntil(read.began)) {
        counts.coalesced += 1;
        return timed('shared', () => read.result);
      }
      return start(key, at);
    },
  };
}
