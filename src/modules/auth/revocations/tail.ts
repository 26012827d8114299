/** The end of the log, watched only while a look waits for it. */
export interface Tail {
  /** Resolves when the log has an entry after the position, or after `waitMs`. */
  waitFor(after: number, waitMs: number): Promise<void>;
  /** This process has appended: those that wait here need not wait for the next poll. */
  moved(): void;
}

interface Waiter {
  readonly after: number;
  readonly untilMs: number;
  readonly resolve: () => void;
}

const POLL_MS = 40;
/** Where no verifier is registered, no write moves the ends that it has made. */
const MOVE_EVERY_MS = 500;

/** `moveAll`: moves durable ends that are not in the log yet. */
export function createTail(latest: () => Promise<number>, moveAll: () => Promise<void>): Tail {
  const waiters = new Set<Waiter>();
  let isPolling = false;
  let wake: (() => void) | undefined;
  let moveDueMs = 0;

  function moveNow(): void {
    if (performance.now() < moveDueMs) return;
    moveDueMs = Number.POSITIVE_INFINITY;
    moveAll()
      // The next one tries again.
      .catch(() => undefined)
      .finally(() => {
        moveDueMs = performance.now() + MOVE_EVERY_MS;
        wake?.();
      });
  }

  function release(last: number): void {
    const nowMs = performance.now();
    for (const waiter of waiters) {
      if (last <= waiter.after && nowMs < waiter.untilMs) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  }

  async function poll(): Promise<void> {
    if (isPolling) return;
    isPolling = true;
    while (waiters.size > 0) {
      moveNow();
      // The look that follows reads again, and tells its client what has failed.
      release(await latest().catch(() => 0));
      if (waiters.size === 0) break;
      const firstMs = Math.min(...[...waiters].map(({ untilMs }) => untilMs)) - performance.now();
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, Math.max(1, Math.min(POLL_MS, firstMs)));
      });
    }
    isPolling = false;
  }

  return {
    waitFor: (after, waitMs) =>
      new Promise((resolve) => {
        waiters.add({ after, untilMs: performance.now() + waitMs, resolve });
        void poll();
      }),
    moved: () => wake?.(),
  };
}
