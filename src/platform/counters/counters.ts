/** Counts that all workers and hosts share, each within a window of time. */
export interface Counters {
  /** Adds `amount` to the count of `key` in the current window. Resolves with the new total. */
  add(key: string, amount: number, windowMs: number): Promise<Count>;
  /** Removes the counts of the current window. */
  reset(keys: readonly string[], windowMs: number): Promise<void>;
}

export interface Count {
  readonly total: number;
  /** When the window ends, in ms since the epoch. */
  readonly resetsAtMs: number;
}

export interface AttemptLimit {
  readonly key: string;
  /** Most failures in a window. */
  readonly limit: number;
  readonly windowMs: number;
}

/**
 * Counts failures only, and still allows no more concurrent attempts than may fail: an attempt
 * first reserves one of the remaining failures, and then either fails or releases it.
 */
export interface AttemptCounters extends Counters {
  reserve(limit: AttemptLimit): Promise<Reservation>;
}

export interface Reservation {
  /**
   * `busy`: as many attempts are under way as failures remain. `spent`: none remains. Neither
   * reserves anything.
   */
  readonly state: 'reserved' | 'busy' | 'spent';
  readonly resetsAtMs: number;
  /** Counts the failed attempt, in the window in which it was reserved. */
  fail(): Promise<void>;
  /** Counts nothing. Never rejects: a reservation that is not released expires by RESERVED_MS. */
  release(): Promise<void>;
}

/**
 * Longer than an attempt takes. After it the reservations of a process that died are free again.
 */
export const RESERVED_MS = 30_000;

export const counterWindow = (windowMs: number, nowMs: number) => {
  const index = Math.floor(nowMs / windowMs);
  return { index, endMs: (index + 1) * windowMs };
};
