import type { RedisConnection } from '../redis/connection';
import { parseAddresses } from '../redis/deployment';
import { openRedisConnection } from '../redis/open-connection';
import { type CacheDeps, createCache } from './cache';
import { createCacheLease } from './cache-lease';
import { cacheName, type EpochStore, NO_REDIS } from './epoch-store';
import { VALID_MS } from './epoch-view';
import { type CacheMembers, createCacheMembers } from './members';
import type { Cache } from './port';

/** How long a starting worker waits for Redis before it serves without. */
const FIRST_CONTACT_MS = 1500;

export interface ConnectCacheDeps extends CacheDeps {
  readonly epochStore: EpochStore;
  /** A command-line tool: it writes as the service does, keeps no local entries, and ends soon. */
  readonly isTool?: boolean;
}

/**
 * Registers this process in the epoch store, and connects to Redis when REDIS_URL is set. Resolves
 * in any case: without Redis the service is degraded, and recovers by itself.
 */
export async function connectCache(given: ConnectCacheDeps): Promise<Cache> {
  const { seams, isTool = false, now = () => performance.now() } = given;
  const settings = isTool ? { ...given.settings, nearTtlMs: 0 } : given.settings;
  const deps = { ...given, settings, isTool, now };
  const redis = openRedis(deps);
  const members = openMembers(deps);
  const lease = createCacheLease({
    ...{ epochStore: given.epochStore, log: given.log, members, isTool, now },
    prefix: redis && settings.keyPrefix,
    identity: () => redis?.identity,
    connected: async (ms) => redis?.settled(ms),
  });
  const deadline = now() + FIRST_CONTACT_MS;
  redis?.start();
  lease.start();
  await redis?.settled(FIRST_CONTACT_MS);
  await lease.settled(deadline - now());
  return createCache(deps, { redis, members, lease: seams?.lease?.(lease) ?? lease });
}

type ConnectDeps = ConnectCacheDeps & Required<Pick<ConnectCacheDeps, 'isTool' | 'now'>>;

function openRedis({
  settings,
  log,
  now,
  seams,
  tracing,
}: ConnectDeps): RedisConnection | undefined {
  const { redisUrl: url } = settings;
  if (url === undefined) return undefined;
  const withoutBreaker = seams?.withoutBreaker ?? false;
  const redis = openRedisConnection(settings, { url, log, now, withoutBreaker, tracing });
  return seams?.redis?.(redis) ?? redis;
}

function openMembers({ settings, epochStore, isTool, log, now, seams }: ConnectDeps): CacheMembers {
  const { redisUrl: url, keyPrefix, nearTtlMs } = settings;
  const cache = url === undefined ? NO_REDIS : cacheName(keyPrefix, parseAddresses(url).database);
  const members = createCacheMembers({
    ...{ epochStore, isTool, log, now },
    settings: { nearTtlMs, cache },
    validMs: VALID_MS,
  });
  return seams?.members?.(members) ?? members;
}
