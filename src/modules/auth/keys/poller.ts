import { setTimeout as delay } from 'node:timers/promises';

/** Reads a key set again and again. */
export interface Poller {
  /** Reads now; resolves true when the keys changed. Concurrent calls share one read. */
  refresh(): Promise<boolean>;
  readonly isReading: boolean;
  /** Begins to poll; the first read comes after a pause. */
  start(): void;
  /** Ends the polling, and the read under way by its signal. */
  stop(): Promise<void>;
}

/**
 * How long keys are used without a successful read: ten polls, so that a failed one has no effect.
 * Without this limit a process that is cut off would accept a revoked key forever.
 */
export const freshMs = (pollMs: number) => Math.max(30_000, 10 * pollMs);

/** Whether two key sets name other keys. */
export const kidsDiffer = (a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>) =>
  a.size !== b.size || [...a.keys()].some((kid) => !b.has(kid));

export function createPoller(
  pauseMs: () => number,
  read: (stopped: AbortSignal) => Promise<boolean>,
): Poller {
  const stopping = new AbortController();
  const { signal } = stopping;
  let reading: Promise<boolean> | undefined;
  let polling: Promise<void> | undefined;

  const refresh = () => {
    reading ??= read(signal).finally(() => {
      reading = undefined;
    });
    return reading;
  };

  async function poll(): Promise<void> {
    while (!signal.aborted) {
      await delay(pauseMs(), undefined, { signal, ref: false });
      await refresh();
    }
  }

  return {
    refresh,
    get isReading() {
      return reading !== undefined;
    },
    start() {
      polling ??= poll().catch(() => undefined);
    },
    async stop() {
      stopping.abort();
      await polling;
      await reading;
    },
  };
}
