import { flag, integer, setting } from './setting';

export const events = {
  keepDays: setting(
    'EVENTS_KEEP_DAYS',
    integer(1, 3650),
    '30',
    'How long events for other services are kept, in days. A consumer that was offline for longer must read all users again.',
  ),
  streamsMax: setting(
    'EVENTS_STREAMS_MAX',
    integer(1, 10_000),
    '100',
    'Maximum number of open event streams per worker; further ones get 429.',
  ),
  redisStream: setting(
    'EVENTS_REDIS_STREAM',
    flag(),
    'false',
    'Publishes events to the Redis Stream CACHE_KEY_PREFIX:events of REDIS_URL, too.',
  ),
  redisStreamMax: setting(
    'EVENTS_REDIS_STREAM_MAX',
    integer(1000, 10_000_000),
    '100000',
    'Approximate number of events that the Redis Stream keeps.',
  ),
} as const;
