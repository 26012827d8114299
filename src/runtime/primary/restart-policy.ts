import { backoffMs } from '../../kernel/lifecycle';

/**
 * Decides when the next worker may start. A worker that crashes early (never ready, or ready for
 * less than `stableMs`) points to the build, the settings or the database rather than to that one
 * worker: so one backoff holds for all of them, and from the second fault on one worker starts at a
 * time. Workers that started before the last fault and crash now are part of the same fault and do
 * not lengthen the backoff.
 */
export interface Restarts {
  /** Call after each unexpected exit. */
  died(worker: { readonly startedAtMs: number; readonly readyAtMs: number | undefined }): void;
  /** Call when a worker became ready. */
  ready(worker: { readonly startedAtMs: number }): void;
  /** Call regularly for each worker: one that has been ready for `stableMs` resets the backoff. */
  alive(worker: { readonly startedAtMs: number; readonly readyAtMs: number | undefined }): void;
  /** How many may be starting at a time. */
  concurrency(): number;
  /** ms until the next start is allowed; 0 is now. */
  pauseMs(): number;
  /** No worker was ever ready and the crash budget is spent. */
  hopeless(): boolean;
  total(): number;
}

export interface RestartOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly stableMs: number;
  readonly crashBudget: number;
  readonly now: () => number;
  readonly random?: () => number;
}

export function createRestarts({
  baseMs,
  maxMs,
  stableMs,
  crashBudget,
  now,
  random,
}: RestartOptions): Restarts {
  let faults = 0;
  let lastFaultMs = Number.NEGATIVE_INFINITY;
  let notBeforeMs = 0;
  let everReady = false;
  let readySinceFault = 0;
  let total = 0;

  return {
    died({ startedAtMs, readyAtMs }) {
      total++;
      const young = readyAtMs === undefined || now() - readyAtMs < stableMs;
      if (!young || startedAtMs <= lastFaultMs) return;
      lastFaultMs = now();
      readySinceFault = 0;
      notBeforeMs = now() + backoffMs(faults, baseMs, maxMs, random);
      faults++;
    },
    ready({ startedAtMs }) {
      everReady = true;
      if (startedAtMs > lastFaultMs) readySinceFault++;
    },
    alive({ startedAtMs, readyAtMs }) {
      if (faults === 0 || readyAtMs === undefined || startedAtMs <= lastFaultMs) return;
      if (now() - readyAtMs >= stableMs) faults = 0;
    },
    // A first fault may be transient. After a second one: one worker, then as many as became ready,
    // which doubles.
    concurrency: () => (faults < 2 ? Number.POSITIVE_INFINITY : Math.max(1, readySinceFault)),
    pauseMs: () => (faults === 0 ? 0 : Math.max(0, notBeforeMs - now())),
    hopeless: () => !everReady && faults >= crashBudget,
    total: () => total,
  };
}
