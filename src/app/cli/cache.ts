import type { Connection } from 'mongoose';
import type { Config } from '../../kernel/config/config';
import { connectCache } from '../../platform/cache/connect';
import {
  cacheName,
  createMongoEpochStore,
  EPOCH_COLLECTION,
  NO_REDIS,
} from '../../platform/cache/epoch-store';
import type { Cache } from '../../platform/cache/port';
import { parseAddresses } from '../../platform/redis/deployment';
import type { Logger } from '../../platform/telemetry/logger';

/**
 * Caches of services on this database that these settings do not name. This process cannot reach
 * the counters in them either.
 */
export async function foreignCaches({ cache }: Config, connection: Connection): Promise<string[]> {
  const own =
    cache.redisUrl === undefined
      ? NO_REDIS
      : cacheName(cache.keyPrefix, parseAddresses(cache.redisUrl).database);
  const { members } = await createMongoEpochStore(() =>
    connection.collection(EPOCH_COLLECTION),
  ).read();
  return [...new Set(members.map((member) => member.cache))].filter(
    (name) => name !== own && name !== NO_REDIS,
  );
}

/**
 * Runs `work` with the cache of the services on this database. When `write` resolves, the write is
 * visible to all of their workers. If a worker uses a cache that this process does not share (no
 * REDIS_URL, another database number or key prefix), that cache is suspended for all workers before
 * the write, and for about two seconds after it.
 */
export async function withCache<T>(
  config: Config,
  connection: Connection,
  log: Logger,
  work: (cache: Cache) => Promise<T>,
): Promise<T> {
  const epochStore = createMongoEpochStore(() => connection.collection(EPOCH_COLLECTION));
  const cache = await connectCache({ settings: config.cache, log, epochStore, isTool: true });
  try {
    return await work(cache);
  } finally {
    await cache.close();
  }
}
