import { setTimeout as pause } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import type { Config } from '../../kernel/config/config';
import type { StartDeadline } from '../../kernel/deadline';
import { jittered } from '../../kernel/lifecycle';
import type { RedisConnection } from '../redis/connection';
import type { Logger } from '../telemetry/logger';
import { NO_TRACING, type Tracing } from '../telemetry/tracing';
import type { CacheLease } from './cache-lease';
import { createCounts } from './cache-metrics';
import { soleLifetime } from './entry-lifetime';
import { createInvalidationCounters } from './invalidation-counters';
import { createDigest, type Digest } from './key-digest';
import type { CacheMembers } from './members';
import type { Cache, CacheState } from './port';
import { createRedisEntries } from './redis-entries';
import { createCacheTrace } from './traced-cache';
import { createTypedCache } from './typed-cache';
import { createWriter, type WriterDeps } from './writer';

export interface CacheDeps {
  readonly settings: Config['cache'];
  readonly log: Logger;
  readonly metrics?: Registry;
  readonly tracing?: Tracing;
  /** Monotonic, in ms. */
  readonly now?: () => number;
  /**
   * Hides keys in Redis that say something. All processes need the same one to find each other's
   * values. Default: a digest without a key.
   */
  readonly digest?: Digest;
  /** For writes that are given no deadline. Default: they have none. */
  readonly startDeadline?: StartDeadline;
  readonly seams?: CacheSeams;
}

/** Where tests remove a safeguard, to show that its absence is noticed. Never a setting. */
export interface CacheSeams {
  readonly pause?: (ms: number) => Promise<unknown>;
  /** Age up to which a read under way is joined; normally τ. */
  readonly joinMs?: number;
  readonly withoutBreaker?: boolean;
  readonly redis?: (redis: RedisConnection) => RedisConnection;
  readonly lease?: (lease: CacheLease) => CacheLease;
  readonly members?: (members: CacheMembers) => CacheMembers;
}

/** How this process agrees with the others on its database. */
export interface Agreement {
  readonly lease: CacheLease;
  readonly members: CacheMembers;
  /** undefined: no Redis is configured. */
  readonly redis?: RedisConnection | undefined;
}

/** Values that were filled together must not expire together. */
const TTL_JITTER = 0.1;

/**
 * Builds the cache without I/O. Without `agreement` it is the only one on its database, and has
 * local entries only.
 */
export function createCache(deps: CacheDeps, agreement?: Agreement): Cache {
  const { settings, seams, now = () => performance.now() } = deps;
  const { tracing = NO_TRACING } = deps;
  const { redis, lease, members } = agreement ?? {};
  const typedCaches: { readonly localSize: number }[] = [];
  const counts = createCounts(deps.metrics, {
    localEntries: () => typedCaches.reduce((sum, typed) => sum + typed.localSize, 0),
    outstanding: () => redis?.status().outstanding ?? 0,
    breakerOpen: () => redis?.status().breakerOpen ?? false,
    redisEntriesInUse: () => lease?.generation() !== undefined,
    misdelivered: () => redis?.status().misdelivered ?? 0,
    writersWaitMs: () => members?.greatestTtlMs() ?? settings.nearTtlMs,
  });
  const generation = () => lease?.generation();
  const inRedis = redis && overRedis(redis, { settings, counts, generation });
  const common = {
    now,
    counts,
    redisEntries: inRedis?.redisEntries,
    invalidations: inRedis?.invalidations,
  };

  return {
    define(spec) {
      const trace = tracing.isOn ? createCacheTrace(spec.name, tracing) : undefined;
      const typed = createTypedCache(spec, {
        ...{ ...common, trace },
        lifetime: members?.lifetime ?? soleLifetime(settings.nearTtlMs),
        joinMs: seams?.joinMs,
        maxLocalEntries: settings.nearMaxEntries,
        generation,
        ttlMs: (negative) => ttlMs(negative ? settings.negativeTtlSeconds : settings.ttlSeconds),
        digest: deps.digest ?? createDigest(''),
      });
      typedCaches.push(typed);
      return trace?.cache(typed) ?? typed;
    },
    write: createWriter({
      ...common,
      generation: () => lease?.confirmedGeneration(),
      lease: lease ?? soleLease(settings.nearTtlMs),
      startDeadline: deps.startDeadline,
      pause: seams?.pause ?? pause,
    }),
    state: () => stateOf(redis, lease, members?.foreign() ?? []),
    async close() {
      await lease?.close();
      await redis?.close();
    },
  };
}

const ttlMs = (ttlSeconds: number): number => Math.round(jittered(ttlSeconds * 1000, TTL_JITTER));

function overRedis(
  redis: RedisConnection,
  {
    settings,
    counts,
    generation,
  }: Pick<CacheDeps, 'settings'> &
    Pick<WriterDeps, 'counts'> & { generation: () => string | undefined },
) {
  const { keyPrefix: prefix, leaseTtlMs, writerTtlMs, nearTtlMs } = settings;
  return {
    redisEntries: createRedisEntries(redis, { prefix, leaseTtlMs, writerTtlMs }),
    // Also where τ is 0: the local entries of other processes depend on them.
    invalidations: createInvalidationCounters({ redis, prefix, nearTtlMs, counts, generation }),
  };
}

/** For a process that shares its database with no other. */
const soleLease = (ttlMs: number): WriterDeps['lease'] => ({
  prepare: async () => undefined,
  fence: async () => 0,
  async release(wait) {
    await wait(ttlMs);
  },
});

function stateOf(
  redis: RedisConnection | undefined,
  lease: CacheLease | undefined,
  foreign: readonly string[],
): CacheState {
  const kind = redis === undefined ? 'near' : 'redis';
  const isInUse = redis === undefined || lease?.generation() !== undefined;
  if (foreign.length > 0) return { kind, status: 'degraded', warning: foreignWarning(foreign) };
  if (isInUse) return { kind, status: 'up' };
  const warning = redis.identity === undefined ? AWAY : SUSPENDED;
  return { kind, status: 'degraded', warning };
}

/** The log has the error itself: errors of Redis name its address. */
const AWAY =
  'Redis does not answer, or refuses what the cache needs: reads go to the database. The log says why.';
const SUSPENDED =
  'Redis answers, and its entries are not in use yet: reads go to the database until writes that were under way have ended.';

const foreignWarning = (foreign: readonly string[]): string =>
  `Other processes on this database use another cache (${foreign.join('; ')}): reads go to the database. Give all of them the same REDIS_URL, its database number included, and the same CACHE_KEY_PREFIX.`;
