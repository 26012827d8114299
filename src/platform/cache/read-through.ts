import type { Counts } from './cache-metrics';
import type { LocalEntries } from './local-entries';
import type { TypedCacheSpec } from './port';
import type { FillLease, Found, Place, RedisEntries } from './redis-entries';

/** Set while a read goes on. */
export interface ReadContext {
  /** No writer of the group was in progress: only then may the counters alone renew the entry. */
  isRenewable: boolean;
  answeredBy?: 'redis' | 'mongodb';
  /** Why Redis did not answer. */
  reason?: ReadReason;
}

/** Reads past the local entries. */
export type ReadThrough<T> = (key: string, context: ReadContext) => Promise<T | null>;

type ReadReason =
  | ('no_redis' | 'redis_not_in_use' | 'redis_error')
  | ('absent' | 'busy' | 'undecodable');

export interface ReadThroughDeps {
  readonly counts: Counts;
  readonly redisEntries: RedisEntries | undefined;
  /** The generation of keys that may be used now; undefined: do not use the Redis entries. */
  generation(): string | undefined;
  ttlMs(negative: boolean): number;
  /** Replaces keys that say something in the names of Redis. */
  digest(key: string): string;
}

/**
 * An id identifies no person, and stays as it is; a query or an address is replaced by a digest.
 */
const ID = /^[0-9a-f]{24}$/;

/** Reads Redis, or else the database, and fills Redis with the database's value. */
export function createReadThrough<T>(
  spec: TypedCacheSpec<T>,
  deps: ReadThroughDeps,
  local: LocalEntries<T>,
): ReadThrough<T> {
  const { counts, redisEntries } = deps;

  /**
   * Most values are unchanged since their last read: comparing bytes takes a tenth of the time of
   * decoding, and allocates nothing.
   */
  function decoded(key: string, bytes: Buffer): T | undefined {
    const known = local.decoded(key);
    if (known?.bytes.equals(bytes) === true) return known.value;
    try {
      if (!local.has(key)) return spec.decode(bytes);
      // A copy: these bytes are a slice of a chunk with other replies, which it would keep alive.
      const own = Buffer.from(bytes);
      const value = spec.decode(own);
      local.keep(key, { bytes: own, value });
      return value;
    } catch {
      counts.undecodable += 1;
      return undefined;
    }
  }

  /**
   * No reader waits for a fill, and a failed fill does not concern the reader: it has its value.
   */
  function fill(entries: RedisEntries, lease: FillLease, place: Place, value: T | null): void {
    const filled = async () => {
      const bytes = value === null ? null : spec.encode(value);
      return entries.fill(lease, place, bytes, deps.ttlMs(value === null));
    };
    filled().then(
      (accepted) => {
        counts[accepted ? 'fills' : 'fillsRefused'] += 1;
      },
      () => {
        counts.redisErrors += 1;
      },
    );
  }

  function load(key: string, context: ReadContext, reason: ReadReason): Promise<T | null> {
    counts.misses += 1;
    context.answeredBy = 'mongodb';
    context.reason = reason;
    return spec.load(key);
  }

  /** For an absent entry: reads the database, with a lease to fill Redis if it can be had. */
  async function loadAndFill(
    entries: RedisEntries,
    generation: string,
    place: Place,
    key: string,
    context: ReadContext,
  ): Promise<T | null> {
    const found = await entries.lease(generation, place).catch(() => undefined);
    if (found === undefined) {
      counts.redisErrors += 1;
      return load(key, context, 'redis_error');
    }
    if (found.kind !== 'lease') return use(found, key, context);
    counts.leasesTaken += 1;
    context.isRenewable = true;
    const value = await load(key, context, 'absent');
    fill(entries, found.lease, place, value);
    return value;
  }

  /** The value in Redis, or else in the database. */
  function use(found: Found, key: string, context: ReadContext): T | null | Promise<T | null> {
    const value =
      found.kind === 'none' ? null : found.kind === 'value' ? decoded(key, found.bytes) : undefined;
    if (value !== undefined) {
      counts.redisHits += 1;
      context.isRenewable = true;
      context.answeredBy = 'redis';
      return value;
    }
    if (found.kind === 'busy') counts.leasesLost += 1;
    return load(key, context, found.kind === 'busy' ? 'busy' : 'undecodable');
  }

  return (key, context) => {
    const generation = deps.generation();
    if (redisEntries === undefined) return load(key, context, 'no_redis');
    if (generation === undefined) return load(key, context, 'redis_not_in_use');
    const place = {
      group: spec.group(key),
      field: `${spec.name}:${ID.test(key) ? key : deps.digest(key)}`,
    };
    return redisEntries.read(generation, place).then(
      (found) =>
        found.kind === 'absent'
          ? loadAndFill(redisEntries, generation, place, key, context)
          : use(found, key, context),
      () => {
        counts.redisErrors += 1;
        return load(key, context, 'redis_error');
      },
    );
  };
}
