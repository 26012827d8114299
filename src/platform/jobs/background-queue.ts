import { setTimeout as delay } from 'node:timers/promises';
import { Counter, Gauge } from 'prom-client';
import { backoffMs, type Closable, withTimeout } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import { NO_TRACING, type Tracing, within } from '../telemetry/tracing';

/**
 * Runs work after the answer, so that the time of an answer does not reveal what was found. In
 * memory: a crash loses the jobs. Each name has a bounded queue of its own, and the names take
 * turns, so that none fills or delays the queue of another. A shutdown finishes the jobs within its
 * deadline.
 */
export interface BackgroundQueue extends Closable {
  /** False when the queue of the name is full. A job that fails is retried a few times. */
  enqueue(name: string, job: () => Promise<void>): boolean;
  /** Resolves when no job waits or runs. */
  idle(): Promise<void>;
}

const CONCURRENCY = 2;
/** With pauses of up to 8 s in all, a job survives a failover of the database. */
const ATTEMPTS = 5;
const RESULTS = ['success', 'failure', 'dropped'] as const;

type Job = () => Promise<void>;

export interface BackgroundQueueOptions {
  /** The names of the jobs. */
  readonly names: readonly string[];
  /** Jobs of one name that may wait. */
  readonly queueMax: number;
  readonly closeTimeoutMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly retryBaseMs?: number;
}

export function createBackgroundQueue(options: BackgroundQueueOptions): BackgroundQueue {
  const { queueMax, closeTimeoutMs, log, retryBaseMs = 500, tracing = NO_TRACING } = options;
  /** The names in the order of their turns; no queue is empty. */
  const waiting = new Map<string, Job[]>();
  const running = new Set<Promise<void>>();
  const waitingCount = () => [...waiting.values()].reduce((sum, jobs) => sum + jobs.length, 0);
  const count = registerMetrics(options, waitingCount);

  async function run(name: string, job: Job): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await job();
        count(name, 'success');
        return;
      } catch (error) {
        if (attempt < ATTEMPTS) {
          await delay(backoffMs(attempt - 1, retryBaseMs, 8 * retryBaseMs));
          continue;
        }
        count(name, 'failure');
        log.error({ err: error, job: name, attempts: ATTEMPTS }, 'background job failed');
        return;
      }
    }
  }

  /** In the trace of the request that asked for it; else it would be in that of the job before. */
  function traced(name: string, job: Job): Job {
    const origin = tracing.origin();
    return () => {
      const span = tracing.follow(`job ${name}`, origin);
      return span === undefined ? tracing.activate(undefined, job) : within(tracing, span, job);
    };
  }

  /** The oldest job of the next name, which then goes to the end of the turns. */
  function next(): [string, Job] | undefined {
    const [first] = waiting;
    const job = first?.[1].shift();
    if (first === undefined || job === undefined) return undefined;
    const [name, jobs] = first;
    waiting.delete(name);
    if (jobs.length > 0) waiting.set(name, jobs);
    return [name, job];
  }

  function startJobs(): void {
    while (running.size < CONCURRENCY) {
      const job = next();
      if (job === undefined) return;
      const work = run(...job).finally(() => {
        running.delete(work);
        startJobs();
      });
      running.add(work);
    }
  }

  async function idle(): Promise<void> {
    while (running.size > 0) await Promise.all(running);
  }

  return {
    enqueue(name, job) {
      const jobs = waiting.get(name) ?? [];
      if (jobs.length >= queueMax) {
        count(name, 'dropped');
        return false;
      }
      jobs.push(tracing.isOn ? traced(name, job) : job);
      waiting.set(name, jobs);
      startJobs();
      return true;
    },
    idle,
    close: () =>
      withTimeout(idle(), closeTimeoutMs, `finishing ${waitingCount() + running.size} jobs`),
  };
}

type Count = (name: string, result: (typeof RESULTS)[number]) => void;

/** Every name and result starts at 0, so that the first increase is visible. */
function registerMetrics(
  { names, metrics }: BackgroundQueueOptions,
  waitingCount: () => number,
): Count {
  const registers = [metrics];
  const finished = new Counter({
    name: 'auth_background_jobs_total',
    help: 'Background jobs, by result; dropped: the queue was full.',
    labelNames: ['name', 'result'],
    registers,
  });
  for (const name of names) for (const result of RESULTS) finished.inc({ name, result }, 0);
  new Gauge({
    name: 'auth_background_jobs_waiting',
    help: 'Background jobs that wait in this process.',
    registers,
    collect() {
      this.set(waitingCount());
    },
  });
  return (name, result) => finished.inc({ name, result });
}
