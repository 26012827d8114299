import { backoffMs } from '../lifecycle';

/**
 * When the next worker may be started. A worker that dies young (never ready, or ready for less than `stableMs`) is
 * taken for a fault of the build, the settings or the database rather than of that one worker: so the pause grows for
 * all of them together, and from the second fault on one worker at a time is tried. Workers that had been started before the last
 * fault and die now are part of the same fault and do not lengthen the pause.
 */
export interface Restarts {
  /** Call at each unexpected exit. */
  died(worker: { readonly startedAtMs: number; readonly readyAtMs: number | undefined }): void;
  /** Call when a worker became ready. */
  ready(worker: { readonly startedAtMs: number }): void;
  /** Call now and then: a worker has been ready since `readyAtMs`. Forgets faults that are over. */
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

export function createRestarts({ baseMs, maxMs, stableMs, crashBudget, now, random }: RestartOptions): Restarts {
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
    // A first fault may be a passing one. After a second: one, and then as many more as have become ready, doubling.
    concurrency: () => (faults < 2 ? Number.POSITIVE_INFINITY : Math.max(1, readySinceFault)),
    pauseMs: () => (faults === 0 ? 0 : Math.max(0, notBeforeMs - now())),
    hopeless: () => !everReady && faults >= crashBudget,
    total: () => total,
  };
}
