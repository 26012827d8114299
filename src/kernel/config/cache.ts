import { z } from 'zod';
import { redisUrls } from './connections';
import { integer, oneOf, optional, secretText, setting, text } from './setting';

/** No braces: they would change the hash tag that keeps a user's keys in one Redis Cluster slot. */
const keyPrefix = () =>
  z
    .string()
    .trim()
    .regex(/^[\w.:-]{1,64}$/, 'must be 1 to 64 letters, digits or . : - _');

export const cache = {
  redisUrl: setting(
    'REDIS_URL',
    optional(redisUrls()),
    undefined,
    'URL of the Redis that workers and hosts share; unset: local cache entries only. Several Sentinels or Cluster nodes: redis://user:password@host:port,host:port,…',
    { secret: true },
  ),
  redisMode: setting(
    'REDIS_MODE',
    oneOf('single', 'sentinel', 'cluster'),
    'single',
    'Kind of the Redis deployment behind REDIS_URL.',
  ),
  sentinelName: setting(
    'REDIS_SENTINEL_NAME',
    text(),
    'mymaster',
    'Name of the master at the Sentinels (REDIS_MODE=sentinel).',
  ),
  sentinelPassword: setting(
    'REDIS_SENTINEL_PASSWORD',
    optional(secretText()),
    undefined,
    'Password of the Sentinels themselves.',
    {
      secret: true,
    },
  ),
  redisCommandTimeoutMs: setting(
    'REDIS_COMMAND_TIMEOUT_MS',
    integer(5, 10_000),
    '100',
    'Longest wait for one Redis command, in ms.',
  ),
  redisQueueMax: setting(
    'REDIS_QUEUE_MAX',
    integer(1, 10_000),
    '100',
    'Maximum number of commands that wait while Redis is unreachable; further commands fail at once.',
  ),
  keyPrefix: setting(
    'CACHE_KEY_PREFIX',
    keyPrefix(),
    'auth',
    'Prefix of every Redis key, so that services can share one Redis.',
  ),
  nearTtlMs: setting(
    'NEAR_CACHE_TTL_MS',
    integer(0, 60_000),
    '50',
    'τ: maximum age of a local cache entry, in ms; 0 disables local entries. Every write waits for the greatest τ of all running processes.',
  ),
  nearMaxEntries: setting(
    'NEAR_CACHE_MAX_ENTRIES',
    integer(0, 1_000_000),
    '10000',
    'Maximum number of local cache entries per worker.',
  ),
  ttlSeconds: setting(
    'CACHE_TTL_SECONDS',
    integer(1, 86_400),
    '300',
    'Lifetime of a Redis entry, in seconds (jittered by 10 %).',
  ),
  negativeTtlSeconds: setting(
    'CACHE_NEGATIVE_TTL_SECONDS',
    integer(1, 3600),
    '5',
    'Lifetime of a negative Redis entry ("no such user"), in seconds.',
  ),
  leaseTtlMs: setting(
    'CACHE_LEASE_TTL_MS',
    integer(100, 60_000),
    '3000',
    'Lifetime of a cache lease, in ms.',
  ),
  writerTtlMs: setting(
    'CACHE_WRITER_TTL_MS',
    integer(1000, 120_000),
    '10000',
    "Lifetime of a writer's entry in Redis, in ms; must exceed the bound of a commit (twice DB_OPERATION_TIMEOUT_MS).",
  ),
} as const;
