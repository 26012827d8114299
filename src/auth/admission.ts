import { Counter, Gauge, Histogram } from 'prom-client';
import { problems } from '../errors';
import type { Metrics } from '../observability/metrics';

/** Runs work now or queues it; throws Problem 503 when the queue is full. */
export type Admit = <T>(work: () => Promise<T>) => Promise<T>;

/** Buckets in seconds: bcrypt at cost 10 takes about 0.05, at cost 12 about 0.2. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * Bounded admission to the thread pool. Password hashing shares libuv's four threads with files and DNS, so only
 * `concurrency` run; what cannot start soon is refused at once rather than after its client has given up.
 */
export function createAdmission(options: { concurrency: number; queueMax: number; metrics: Metrics }): Admit {
  const { concurrency, queueMax, metrics } = options;
  const waiting: (() => void)[] = [];
  let running = 0;
  let meanSeconds = 0.2;

  const registers = [metrics];
  new Gauge({
    name: 'auth_hash_queue_length',
    help: 'Password hashes waiting for a thread.',
    registers,
    collect() {
      this.set(waiting.length);
    },
  });
  const waitSeconds = new Histogram({
    name: 'auth_hash_wait_seconds',
    help: 'Wait of a password hash in the queue.',
    buckets: BUCKETS,
    registers,
  });
  const workSeconds = new Histogram({ name: 'auth_hash_seconds', help: 'Time of a password hash.', buckets: BUCKETS, registers });
  const refused = new Counter({ name: 'auth_hash_refused_total', help: 'Password hashes refused because the queue was full.', registers });

  function queueFull() {
    refused.inc();
    const drainSeconds = Math.ceil(((queueMax + concurrency) * meanSeconds) / concurrency);
    return problems.unavailable(
      'hash_queue_full',
      'Too many passwords are being checked at the moment.',
      Math.min(30, Math.max(1, drainSeconds)),
    );
  }

  return async (work) => {
    const askedAt = performance.now();
    if (running >= concurrency) {
      if (waiting.length >= queueMax) throw queueFull();
      // The one that ends hands its place on, so that `running` never falls and rises between the two.
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    const startedAt = performance.now();
    waitSeconds.observe((startedAt - askedAt) / 1000);
    try {
      return await work();
    } finally {
      const seconds = (performance.now() - startedAt) / 1000;
      workSeconds.observe(seconds);
      meanSeconds += (seconds - meanSeconds) / 8;
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
