/** Limits retries to a share of the calls, so that clients do not keep an overloaded service down. */
export interface RetryBudget {
  /** False: no retry is left. */
  take(): boolean;
  succeeded(): void;
}

export function createRetryBudget(max = 100, perSuccess = 0.3): RetryBudget {
  let left = max;
  return {
    take() {
      if (left < 1) return false;
      left -= 1;
      return true;
    },
    succeeded() {
      left = Math.min(max, left + perSuccess);
    },
  };
}

/** Full jitter: many clients that failed together do not come back together. */
export function backoffMs(attempt: number, retryAfterSeconds = 0, maxMs = 3000): number {
  const spread = Math.random() * Math.min(maxMs, 100 * 2 ** attempt);
  return retryAfterSeconds * 1000 + spread;
}
