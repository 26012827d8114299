import { z } from 'zod';
import { integer, oneOf, optional, setting, text, url } from './setting';

/** Comma-separated; the first is a whole URL, the others may be host:port alone. */
const redisUrls = () =>
  url('redis', 'rediss').refine(
    (value) =>
      value
        .split(',')
        .map((part) => part.trim())
        .every((part) => URL.canParse(part.includes('://') ? part : `redis://${part}`)),
    { error: 'must be redis://[user:password@]host:port, with further hosts after commas' },
  );

/** Braces would move the hash tag by which Redis Cluster keeps the keys of a user together. */
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
    'Redis shared by workers and hosts; unset keeps near copies only. Several Sentinels or Cluster nodes: redis://user:password@host:port,host:port,…',
    { secret: true },
  ),
  redisMode: setting('REDIS_MODE', oneOf('single', 'sentinel', 'cluster'), 'single', 'What REDIS_URL leads to.'),
  sentinelName: setting('REDIS_SENTINEL_NAME', text(), 'mymaster', 'What the Sentinels call the master (REDIS_MODE=sentinel).'),
  sentinelPassword: setting('REDIS_SENTINEL_PASSWORD', optional(text()), undefined, 'Password of the Sentinels themselves.', {
    secret: true,
  }),
  redisCommandTimeoutMs: setting('REDIS_COMMAND_TIMEOUT_MS', integer(5, 10_000), '100', 'Longest wait for one Redis command, in ms.'),
  redisQueueMax: setting('REDIS_QUEUE_MAX', integer(1, 10_000), '100', 'Most commands waiting while Redis is away; more fail at once.'),
  keyPrefix: setting('CACHE_KEY_PREFIX', keyPrefix(), 'auth', 'First part of every Redis key, to share one Redis between services.'),
  nearTtlMs: setting(
    'NEAR_CACHE_TTL_MS',
    integer(0, 60_000),
    '50',
    "τ: greatest age of a worker's near copy and the wait of every write, in ms; 0 turns both off.",
  ),
  nearMaxEntries: setting('NEAR_CACHE_MAX_ENTRIES', integer(0, 1_000_000), '10000', 'Most near copies per worker.'),
  ttlSeconds: setting('CACHE_TTL_SECONDS', integer(1, 86_400), '300', 'Life of a value in Redis, in seconds (jittered by 10 %).'),
  negativeTtlSeconds: setting('CACHE_NEGATIVE_TTL_SECONDS', integer(1, 3600), '5', 'Life of "no such user" in Redis, in seconds.'),
  leaseTtlMs: setting('CACHE_LEASE_TTL_MS', integer(100, 60_000), '3000', "Life of a filler's lease, in ms."),
  writerTtlMs: setting(
    'CACHE_WRITER_TTL_MS',
    integer(1000, 120_000),
    '10000',
    "Life of a writer's entry, in ms; must exceed the bound of a commit.",
  ),
} as const;
