import { Counter, Gauge, type Registry } from 'prom-client';

const NAMES = {
  localHits: 'Reads answered by a local entry.',
  localRenewals: 'Local entries renewed because the invalidation counters showed no write.',
  counterReads: 'Reads of the invalidation counters in Redis.',
  redisHits: 'Reads answered by Redis.',
  misses: 'Reads that went to the database.',
  coalesced: 'Reads that joined another one in the same worker.',
  leasesTaken: 'Leases taken to fill a value in Redis.',
  leasesLost: 'Reads that found another reader with the lease, or a writer in progress.',
  fills: 'Values filled into Redis.',
  fillsRefused: 'Fills refused because a write came between.',
  undecodable: 'Values from Redis that could not be decoded.',
  redisErrors: 'Redis operations that failed or were refused.',
  writes: 'Writes, acknowledged or failed.',
  guardWaits: 'Waits of writers for local entries to expire.',
  fences: 'Writes whose invalidation in Redis failed, so that Redis entries were disabled.',
} as const;

export type Counts = { -readonly [K in keyof typeof NAMES]: number };

const snake = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export interface Gauges {
  localEntries(): number;
  outstanding(): number;
  breakerOpen(): boolean;
  redisEntriesInUse(): boolean;
  writersWaitMs(): number;
  /** Counted by the Redis connection. */
  misdelivered(): number;
}

/** Plain numbers on the hot path; the registry reads them when it is scraped. */
export function createCounts(registry: Registry | undefined, gauges: Gauges): Counts {
  const counts = Object.fromEntries(Object.keys(NAMES).map((name) => [name, 0])) as Counts;
  if (registry === undefined) return counts;
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name: `cache_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  for (const [name, help] of Object.entries(NAMES) as [keyof Counts, string][])
    counter(snake(name), help, () => counts[name]);
  counter(
    'redis_misdelivered',
    'Redis replies that belonged to another command: the connection was closed.',
    gauges.misdelivered,
  );
  const gauge = (
    name: string,
    help: string,
    read: () => number,
    aggregator: 'sum' | 'max' = 'sum',
  ): void => {
    new Gauge({
      name,
      help,
      aggregator,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('cache_local_entries', 'Local entries held, expired ones included.', gauges.localEntries);
  gauge('cache_redis_outstanding', 'Redis commands without a reply.', gauges.outstanding);
  gauge('cache_breaker_open', '1 while the circuit breaker to Redis is open.', () =>
    gauges.breakerOpen() ? 1 : 0,
  );
  gauge('cache_redis_entries_in_use', '1 while Redis entries are read and filled.', () =>
    gauges.redisEntriesInUse() ? 1 : 0,
  );
  gauge(
    'cache_writers_wait_milliseconds',
    'Time that every write waits: the greatest NEAR_CACHE_TTL_MS in use on this database.',
    gauges.writersWaitMs,
    'max',
  );
  return counts;
}
