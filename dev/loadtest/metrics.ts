/** One sample of Prometheus text. */
interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The target's counters and gauges at one moment, over all workers of its host. */
export interface Reading {
  readonly atMs: number;
  readonly workers: number;
  /** Processor time of all workers, hashing threads included. */
  readonly cpuSeconds: number;
  /** In which the event loops did not wait for work. */
  readonly loopSeconds: number;
  readonly hashSeconds: number;
  readonly hashes: number;
  readonly hashWaitSeconds: number;
  readonly hashQueue: number;
  readonly hashRefused: number;
  readonly requests: number;
  readonly requestSeconds: number;
  readonly inFlight: number;
  readonly shed: number;
  readonly mongoCommands: number;
  readonly mongoSeconds: number;
  readonly mongoWaiting: number;
  readonly mongoRefused: number;
  readonly redisInUse: boolean;
  readonly redisOutstanding: number;
  readonly redisErrors: number;
  readonly redisReads: number;
  readonly breakersOpen: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

function parseMetrics(text: string): readonly Sample[] {
  return text.split('\n').flatMap((line): Sample[] => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels.matchAll(LABEL)].map(([, key, text]) => [key, text] as const);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

export function readingOf(text: string, atMs: number): Reading {
  const samples = parseMetrics(text);
  const sum = (name: string, isMeant: (sample: Sample) => boolean = () => true) =>
    samples
      .filter((sample) => sample.name === name && isMeant(sample))
      .reduce((total, { value }) => total + value, 0);
  return {
    atMs,
    workers: sum('cluster_workers_ready') || 1,
    cpuSeconds: sum('process_cpu_seconds_total'),
    loopSeconds: sum('nodejs_eventloop_active_seconds_total'),
    hashSeconds: sum('auth_hash_seconds_sum'),
    hashes: sum('auth_hash_seconds_count'),
    hashWaitSeconds: sum('auth_hash_wait_seconds_sum'),
    hashQueue: sum('auth_hash_queue_length'),
    hashRefused: sum('auth_hash_refused_total'),
    requests: sum('http_request_duration_seconds_count'),
    requestSeconds: sum('http_request_duration_seconds_sum'),
    inFlight: sum('http_requests_in_flight'),
    shed: sum('http_requests_shed_total') + sum('cluster_connections_refused_total'),
    mongoCommands: sum('mongodb_command_duration_seconds_count'),
    mongoSeconds: sum('mongodb_command_duration_seconds_sum'),
    mongoWaiting: sum('mongodb_pool_connections', ({ labels }) => labels['state'] === 'waiting'),
    mongoRefused: sum('mongodb_pool_checkouts_failed_total'),
    redisInUse: sum('cache_redis_entries_in_use') > 0,
    redisOutstanding: sum('cache_redis_outstanding'),
    redisErrors: sum('cache_redis_errors_total'),
    redisReads: sum('cache_redis_hits_total'),
    breakersOpen: sum('cache_breaker_open'),
  };
}

/** undefined: it cannot be read, or is not this service's. */
export async function readMetrics(url: string, timeoutMs = 3000): Promise<Reading | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    const text = await answer.text();
    if (!answer.ok || !text.includes('http_request_duration_seconds')) return undefined;
    return readingOf(text, performance.now());
  } catch {
    return undefined;
  }
}

/**
 * Whether every worker has answered: one that is too busy is left out of the sums, which seem to
 * shrink then.
 */
export const isWhole = (reading: Reading, before: Reading | undefined): boolean =>
  before === undefined ||
  (reading.cpuSeconds >= before.cpuSeconds && reading.requests >= before.requests);

export interface MetricsWatch {
  /** So far, in order. */
  readonly readings: readonly Reading[];
  stop(): Promise<void>;
}

/** Reads now and then every second, at the end once more. */
export async function watchMetrics(url: string | undefined): Promise<MetricsWatch> {
  const readings: Reading[] = [];
  let running = Promise.resolve();
  async function look(): Promise<void> {
    const reading = url === undefined ? undefined : await readMetrics(url);
    if (reading !== undefined && isWhole(reading, readings.at(-1))) readings.push(reading);
  }
  await look();
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    running = look().finally(() => {
      isBusy = false;
    });
  }, 1000);
  return {
    readings,
    async stop() {
      clearInterval(timer);
      await running;
      await look();
    },
  };
}
