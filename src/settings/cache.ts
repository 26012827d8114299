import { integer, optional, setting, text, url } from './setting';

export const cache = {
  redisUrl: setting(
    'REDIS_URL',
    optional(url('redis', 'rediss')),
    undefined,
    'Redis shared by workers and hosts; unset keeps near copies only.',
    { secret: true },
  ),
  redisCommandTimeoutMs: setting('REDIS_COMMAND_TIMEOUT_MS', integer(5, 10_000), '100', 'Longest wait for one Redis command, in ms.'),
  redisQueueMax: setting('REDIS_QUEUE_MAX', integer(1, 10_000), '100', 'Most commands waiting while Redis is away; more fail at once.'),
  keyPrefix: setting('CACHE_KEY_PREFIX', text(), 'auth', 'First part of every Redis key, to share one Redis between services.'),
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
    'Life of the count of writers in progress, in ms; must exceed the bound of a commit.',
  ),
} as const;
