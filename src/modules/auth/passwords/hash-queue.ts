import type { Metrics } from '../../../platform/telemetry/metrics';
import { timed } from '../../../platform/telemetry/request-work';
import { NO_TRACING, type Tracing, within } from '../../../platform/telemetry/tracing';
import { hashQueueFull } from '../problems';
import { measureHashes } from './hash-metrics';

/** Runs work now or queues it. Throws 503 when the queue is full. */
export type Admit = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Bounds the password hashes in progress: they share libuv's four threads with files and DNS. A
 * hash that cannot start soon is refused at once, instead of after its client has given up.
 */
export function createHashQueue(options: {
  concurrency: number;
  queueMax: number;
  metrics: Metrics;
  tracing?: Tracing | undefined;
}): Admit {
  const { concurrency, queueMax, metrics, tracing = NO_TRACING } = options;
  const waiting: (() => void)[] = [];
  let running = 0;
  let meanSeconds = 0.2;

  const { waitSeconds, workSeconds, refused } = measureHashes(metrics, () => waiting.length);

  function queueFull() {
    refused.inc();
    const drainSeconds = Math.ceil(((queueMax + concurrency) * meanSeconds) / concurrency);
    return hashQueueFull(Math.min(30, Math.max(1, drainSeconds)));
  }

  /** Resolves when this process may hash. */
  async function enter(): Promise<void> {
    if (running >= concurrency) {
      if (waiting.length >= queueMax) throw queueFull();
      // A hash that ends hands its slot to the next one, so `running` does not change.
      await timed('hash_queue', () => new Promise<void>((resolve) => waiting.push(resolve)));
    } else {
      running += 1;
    }
  }

  return async (work) => {
    const askedAt = performance.now();
    const wait = tracing.child('password hash wait', { 'hash.waiting': waiting.length });
    await (wait === undefined ? enter() : within(tracing, wait, enter));
    const startedAt = performance.now();
    waitSeconds.observe((startedAt - askedAt) / 1000);
    try {
      const hash = tracing.child('password hash');
      const hashing = () => timed('hash', work);
      return await (hash === undefined ? hashing() : within(tracing, hash, hashing));
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
