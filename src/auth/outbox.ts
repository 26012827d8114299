import { Counter, Gauge } from 'prom-client';
import { type Closable, withTimeout } from '../lifecycle';
import type { Logger } from '../observability/logger';
import type { Metrics } from '../observability/metrics';

/**
 * Work that goes on after the answer, so that an answer's time tells nothing of what was found. Bounded; what is left
 * at a shutdown is finished within the deadline.
 */
export interface Outbox extends Closable {
  /** False when the queue is full: the caller decides whether to say so. */
  enqueue(name: string, job: () => Promise<void>): boolean;
  /** Resolves when nothing waits or runs. */
  idle(): Promise<void>;
}

const CONCURRENCY = 2;

export function createOutbox(options: { queueMax: number; closeTimeoutMs: number; log: Logger; metrics: Metrics }): Outbox {
  const { queueMax, closeTimeoutMs, log, metrics } = options;
  const waiting: { name: string; job: () => Promise<void> }[] = [];
  const running = new Set<Promise<void>>();
  const registers = [metrics];
  const done = new Counter({
    name: 'auth_outbox_jobs_total',
    help: 'Mails and other work after an answer.',
    labelNames: ['name', 'result'],
    registers,
  });
  new Gauge({
    name: 'auth_outbox_waiting',
    help: 'Mails and other work after an answer that wait.',
    registers,
    collect() {
      this.set(waiting.length);
    },
  });

  async function run(name: string, job: () => Promise<void>): Promise<void> {
    try {
      await job();
      done.inc({ name, result: 'success' });
    } catch (error) {
      done.inc({ name, result: 'failure' });
      log.error({ err: error, job: name }, 'work after an answer failed');
    }
  }

  function pump(): void {
    while (running.size < CONCURRENCY) {
      const next = waiting.shift();
      if (next === undefined) return;
      const work = run(next.name, next.job).finally(() => {
        running.delete(work);
        pump();
      });
      running.add(work);
    }
  }

  async function idle(): Promise<void> {
    while (running.size > 0) await Promise.all(running);
  }

  return {
    enqueue(name, job) {
      if (waiting.length >= queueMax) {
        done.inc({ name, result: 'dropped' });
        return false;
      }
      waiting.push({ name, job });
      pump();
      return true;
    },
    idle,
    close: () => withTimeout(idle(), closeTimeoutMs, `finishing ${waiting.length} mails`),
  };
}
