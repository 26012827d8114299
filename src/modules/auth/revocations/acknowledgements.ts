import { type LiveVerifier, withMargin } from './verifiers';

/** Waits until no verifier decides without an entry of the log. */
export interface Acknowledgements {
  /**
   * The entry is durable when this is called. Resolves when each live verifier has begun a look
   * from behind the entry, or its lease has passed since the call. A verifier that does not know
   * the entry decides by a look that began before the call, and so no longer than that.
   */
  of(sequence: number): Promise<void>;
}

interface Waiter {
  readonly sequence: number;
  readonly sinceMs: number;
  readonly resolve: () => void;
}

const POLL_MS = 10;

/** `maxLeaseMs`: the longest that the settings allow; another host may have granted it. */
export function createAcknowledgements(options: {
  readonly live: () => Promise<readonly LiveVerifier[]>;
  readonly maxLeaseMs: number;
  readonly monotonic?: () => number;
}): Acknowledgements {
  const { live, maxLeaseMs, monotonic = () => performance.now() } = options;
  const waiters = new Set<Waiter>();
  let isPolling = false;

  function settle(verifiers: readonly LiveVerifier[] | undefined): void {
    const nowMs = monotonic();
    for (const waiter of waiters) {
      const { sequence, sinceMs, resolve } = waiter;
      const behind = verifiers?.filter(({ after }) => after < sequence);
      // Without an answer of the database any verifier may be behind.
      const leases = behind?.map(({ leaseMs }) => leaseMs) ?? [maxLeaseMs];
      const isOver = leases.every((leaseMs) => nowMs - sinceMs >= withMargin(leaseMs));
      if (!isOver) continue;
      waiters.delete(waiter);
      resolve();
    }
  }

  /** One poll for all that wait in this process. */
  async function poll(): Promise<void> {
    if (isPolling) return;
    isPolling = true;
    while (waiters.size > 0) {
      settle(await live().catch(() => undefined));
      if (waiters.size > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    isPolling = false;
  }

  return {
    of(sequence) {
      return new Promise((resolve) => {
        waiters.add({ sequence, sinceMs: monotonic(), resolve });
        void poll();
      });
    },
  };
}
