import type { Connection } from 'mongoose';

/** Counts that all workers and hosts share, each within a window of time. */
export interface Counters {
  /** Adds `amount` to the count of `key` in the current window and answers its total so far. */
  add(key: string, amount: number, windowMs: number): Promise<Count>;
  /** Forgets the count of the current window. */
  reset(key: string, windowMs: number): Promise<void>;
}

export interface Count {
  readonly total: number;
  /** When the window ends, in ms since the epoch. */
  readonly resetsAtMs: number;
}

interface CounterDocument {
  _id: string;
  n: number;
  until: Date;
}

export const COUNTERS_COLLECTION = 'counters';

const windowOf = (key: string, windowMs: number, nowMs: number) => {
  const index = Math.floor(nowMs / windowMs);
  return { id: `${key}:${windowMs}:${index}`, endMs: (index + 1) * windowMs };
};

/**
 * Fixed windows in MongoDB: one atomic `$inc` with upsert, right over workers, hosts and PM2. Used where there is no
 * Redis. Counts may be lost in a crash (w:1), which a limit can bear and a login should not wait for.
 */
export function createDatabaseCounters(connection: Connection, options: { timeoutMs: number; now?: () => number }): Counters {
  const { timeoutMs, now = Date.now } = options;
  const collection = () => connection.collection<CounterDocument>(COUNTERS_COLLECTION, { writeConcern: { w: 1, journal: false } });
  return {
    async add(key, amount, windowMs) {
      const { id, endMs } = windowOf(key, windowMs, now());
      const update = () =>
        collection().findOneAndUpdate(
          { _id: id },
          { $inc: { n: amount }, $setOnInsert: { until: new Date(endMs + windowMs) } },
          { upsert: true, returnDocument: 'after', maxTimeMS: timeoutMs },
        );
      // Two upserts of one new key may collide; the second then finds the document.
      const found = await update().catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 11000) return update();
        throw error;
      });
      return { total: found?.n ?? amount, resetsAtMs: endMs };
    },
    async reset(key, windowMs) {
      await collection().deleteOne({ _id: windowOf(key, windowMs, now()).id }, { maxTimeMS: timeoutMs });
    },
  };
}
