import type { Config } from '../kernel/config/config';
import type { Closable } from '../kernel/lifecycle';
import type { RedisConnection } from '../platform/redis/connection';
import { openRedisConnection } from '../platform/redis/open-connection';
import type { Logger } from '../platform/telemetry/logger';
import type { Tracing } from '../platform/telemetry/tracing';

export interface EventStreamDependencies {
  readonly config: Config;
  readonly log: Logger;
  readonly tracing?: Tracing | undefined;
  readonly own: <T extends Closable>(name: string, resource: T) => T;
  readonly now: () => number;
}

/** The stream that events are published to, by its own connection; undefined: to none. */
export function openEventStream({ config, log, tracing, own, now }: EventStreamDependencies) {
  const { redisUrl: url, keyPrefix } = config.cache;
  if (!config.events.redisStream || url === undefined) return undefined;
  const open = openRedisConnection(config.cache, { url, log, tracing, now });
  const redis = own<RedisConnection>('redis of the event stream', open);
  redis.start();
  return { redis, key: `${keyPrefix}:events`, maxLength: config.events.redisStreamMax };
}
