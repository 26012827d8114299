import { Counter, Gauge, type Registry } from 'prom-client';

const NAMES = {
  nearHits: 'Reads answered by a near copy.',
  nearRenewals: 'Near copies renewed because no write of their group has been counted.',
  stampLooks: 'Looks at the counters of writes in Redis.',
  sharedHits: 'Reads answered by Redis.',
  misses: 'Reads that went to the database.',
  coalesced: 'Reads that joined one under way in the same worker.',
  leasesTaken: 'Leases taken to fill a value in Redis.',
  leasesLost: 'Reads that found another reader filling, or a writer in progress.',
  fills: 'Values filled into Redis.',
  fillsRefused: 'Fills refused because a write came between.',
  undecodable: 'Values from Redis that could not be decoded.',
  redisErrors: 'Redis operations that failed or were refused.',
  writes: 'Writes that were acknowledged or failed.',
  guardWaits: 'Waits of writers for near copies to expire.',
  fences: 'Writes that Redis could not be told of, so that the shared copies were taken out of use.',
} as const;

export type Counts = { -readonly [K in keyof typeof NAMES]: number };

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export interface Gauges {
  nearCopies(): number;
  outstanding(): number;
  breakerOpen(): boolean;
  sharedInUse(): boolean;
}

/** Plain numbers on the hot path; the registry reads them when it is scraped. */
export function createCounts(registry: Registry | undefined, gauges: Gauges): Counts {
  const counts = Object.fromEntries(Object.keys(NAMES).map((name) => [name, 0])) as Counts;
  if (registry === undefined) return counts;
  for (const [name, help] of Object.entries(NAMES) as [keyof Counts, string][]) {
    new Counter({
      name: `cache_${snake(name)}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(counts[name]);
      },
    });
  }
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('cache_near_copies', 'Near copies held, expired ones included.', gauges.nearCopies);
  gauge('cache_redis_outstanding', 'Commands that Redis has not answered.', gauges.outstanding);
  gauge('cache_breaker_open', '1 while Redis is not in use.', () => (gauges.breakerOpen() ? 1 : 0));
  gauge('cache_shared_in_use', '1 while shared copies are read and filled.', () => (gauges.sharedInUse() ? 1 : 0));
  return counts;
}
