import type { Snapshot } from '../metrics/metrics-files';

/** The counters and gauges of one moment that the ops page shows. */
export interface Reading {
  readonly atMs: number;
  /** Finished requests by class of status: "2xx". */
  readonly byStatus: Readonly<Record<string, number>>;
  /** Cumulative counts of the duration's buckets, by upper bound in seconds; without held ones. */
  readonly durations: ReadonlyMap<number, number>;
  readonly reads: Readonly<Record<'local' | 'redis' | 'mongodb', number>>;
  /** Refused requests by reason. */
  readonly refused: Readonly<Record<string, number>>;
  // Undefined: no worker told it, or no module of this service has it.
  readonly inFlight: number | undefined;
  readonly hashQueue: number | undefined;
  readonly hashes: number;
  /** Workers whose circuit breaker to Redis is open. */
  readonly breakersOpen: number | undefined;
  readonly redisEntriesInUse: number | undefined;
  readonly redisErrors: number;
  /** Attempts at durable jobs, by kind and result. */
  readonly jobs: Readonly<Record<string, number>>;
  readonly backgroundWaiting: number | undefined;
  readonly mailsWaiting: number | undefined;
  readonly signingKeyAgeSeconds: number | undefined;
  readonly signingKeyNextSeconds: number | undefined;
}

type Value = Snapshot[number]['values'][number] & { readonly metricName?: string };

export function read(metrics: Snapshot, atMs: number): Reading {
  const byName = new Map(metrics.map((metric) => [metric.name, metric.values as Value[]]));
  const values = (name: string) => byName.get(name) ?? [];
  const sum = (name: string) => values(name).reduce((total, { value }) => total + value, 0);
  /** Counters outlive their worker, gauges do not: without one the value is unknown. */
  const gauge = (name: string) => (values(name).length === 0 ? undefined : sum(name));
  const grouped = (name: string, key: (value: Value) => string | undefined) => {
    const groups: Record<string, number> = {};
    for (const one of values(name)) {
      const group = key(one);
      if (group !== undefined) groups[group] = (groups[group] ?? 0) + one.value;
    }
    return groups;
  };
  const DURATION = 'http_request_duration_seconds';
  const durations = new Map<number, number>();
  for (const { metricName, labels, value } of values(DURATION)) {
    if (metricName !== `${DURATION}_bucket` || labels['waits'] !== undefined) continue;
    const bound = Number(String(labels['le']).replace('+Inf', 'Infinity'));
    durations.set(bound, (durations.get(bound) ?? 0) + value);
  }
  const highest = (name: string) => values(name)[0]?.value;
  return {
    atMs,
    byStatus: grouped(DURATION, ({ metricName, labels }) =>
      metricName === `${DURATION}_count` ? `${String(labels['status'])[0]}xx` : undefined,
    ),
    durations,
    reads: {
      local: sum('cache_local_hits_total') + sum('cache_local_renewals_total'),
      redis: sum('cache_redis_hits_total'),
      mongodb: sum('cache_misses_total'),
    },
    refused: {
      ...grouped('http_requests_shed_total', ({ labels }) => `overload: ${labels['reason']}`),
      // Those of overload are in both counters.
      ...grouped('http_requests_refused_total', ({ labels: { code } }) =>
        code === 'overloaded' ? undefined : String(code),
      ),
      'hash queue full': sum('auth_hash_refused_total'),
      'no worker accepted': sum('cluster_connections_refused_total'),
    },
    inFlight: gauge('http_requests_in_flight'),
    hashQueue: gauge('auth_hash_queue_length'),
    hashes:
      values('auth_hash_seconds').find((v) => v.metricName === 'auth_hash_seconds_count')?.value ??
      0,
    breakersOpen: gauge('cache_breaker_open'),
    redisEntriesInUse: gauge('cache_redis_entries_in_use'),
    redisErrors: sum('cache_redis_errors_total'),
    jobs: grouped('jobs_attempts_total', ({ labels }) => `${labels['kind']}: ${labels['result']}`),
    backgroundWaiting: gauge('auth_background_jobs_waiting'),
    mailsWaiting: gauge('auth_mails_waiting'),
    signingKeyAgeSeconds: highest('auth_signing_key_age_seconds'),
    signingKeyNextSeconds: highest('auth_signing_key_next_seconds'),
  };
}

/** One point of the charts: values per second, or of that moment. */
export const SERIES = [
  ...(['at', 'ok', 'clientErrors', 'serverErrors'] as const),
  ...(['p50', 'p95', 'p99'] as const),
  ...(['local', 'redis', 'mongodb', 'refused', 'hashQueue', 'inFlight'] as const),
] as const;
export type Point = Readonly<Record<(typeof SERIES)[number], number | null>>;

export function pointOf(before: Reading, after: Reading): Point {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000);
  const rate = (from = 0, to = 0) => Math.max(0, to - from) / seconds;
  const statuses = (...classes: readonly string[]) =>
    classes.reduce((sum, one) => sum + rate(before.byStatus[one], after.byStatus[one]), 0);
  const reads = (where: keyof Reading['reads']) => rate(before.reads[where], after.reads[where]);
  const percentile = percentilesOf(before.durations, after.durations);
  const total = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((sum, one) => sum + one, 0);
  return {
    at: Math.round(after.atMs / 1000),
    ok: statuses('1xx', '2xx', '3xx'),
    clientErrors: statuses('4xx'),
    serverErrors: statuses('5xx'),
    ...{ p50: percentile(0.5), p95: percentile(0.95), p99: percentile(0.99) },
    ...{ local: reads('local'), redis: reads('redis'), mongodb: reads('mongodb') },
    refused: rate(total(before.refused), total(after.refused)),
    ...{ hashQueue: after.hashQueue ?? null, inFlight: after.inFlight ?? null },
  };
}

/**
 * Percentiles in ms of the requests between two readings, by linear interpolation in a bucket, as
 * Prometheus' `histogram_quantile` does; null without requests.
 */
function percentilesOf(
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): (share: number) => number | null {
  const buckets = [...after]
    .map(([bound, count]) => ({ bound, count: count - (before.get(bound) ?? 0) }))
    .sort((a, b) => a.bound - b.bound);
  const total = buckets.at(-1)?.count ?? 0;
  return (share) => {
    if (total <= 0) return null;
    const wanted = share * total;
    const index = buckets.findIndex(({ count }) => count >= wanted);
    const [lower, bucket] = [buckets[index - 1] ?? { bound: 0, count: 0 }, buckets[index]];
    if (bucket === undefined || bucket.bound === Number.POSITIVE_INFINITY)
      return lower.bound * 1000;
    const inside = (wanted - lower.count) / Math.max(1e-9, bucket.count - lower.count);
    return (lower.bound + (bucket.bound - lower.bound) * inside) * 1000;
  };
}
