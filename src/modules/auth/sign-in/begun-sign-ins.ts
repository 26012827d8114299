import { problems } from '../../../kernel/errors';
import type { Counters } from '../../../platform/counters/counters';

interface BegunSignInsOptions {
  readonly counters: Counters;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly key: string;
  /** Within `windowMs`, the lifetime of what is stored for one. */
  readonly max: number;
  readonly windowMs: number;
  /** Of the 503. */
  readonly detail: string;
}

/**
 * Anyone can begin a sign-in: without a bound, strangers could fill the database. Counts one, over
 * all hosts; throws 503 `overloaded`.
 */
export const createBegunSignIns =
  ({ counters, now, key, max, windowMs, detail }: BegunSignInsOptions) =>
  async (): Promise<void> => {
    const { total, resetsAtMs } = await counters.add(key, 1, windowMs);
    if (total <= max) return;
    const seconds = Math.max(1, Math.ceil((resetsAtMs - now()) / 1000));
    throw problems.unavailable('overloaded', detail, seconds);
  };
