import { randomUUID } from 'node:crypto';
import type { Connection } from 'mongoose';
import { withOneRetry } from '../../kernel/one-retry';
import { isDuplicateKey } from '../mongo/errors';
import { type AttemptCounters, counterWindow, RESERVED_MS, type Reservation } from './counters';

interface CounterDocument {
  _id: string;
  n: number;
  until: Date;
  reserved?: { id: string; until: Date }[];
}

export const COUNTERS_COLLECTION = 'counters';

/** Concurrent upserts of a new key may collide. The retried upsert finds the document. */
const upserted = <T>(update: () => Promise<T>) =>
  withOneRetry(update, { isRetried: isDuplicateKey });

/**
 * Fixed windows in MongoDB: each step is one atomic operation with upsert, so counts are right over
 * workers, hosts and PM2. Used without Redis. A crash may lose counts (w:1): a limit tolerates
 * that, and a login need not wait for the journal.
 */
export function createMongoCounters(
  connection: Connection,
  options: { timeoutMs: number; now: () => number },
): AttemptCounters {
  const { timeoutMs, now } = options;
  const bounded = { maxTimeMS: timeoutMs };
  const collection = () =>
    connection.collection<CounterDocument>(COUNTERS_COLLECTION, {
      writeConcern: { w: 1, journal: false },
    });
  const windowOf = (key: string, windowMs: number, nowMs: number) => {
    const { index, endMs } = counterWindow(windowMs, nowMs);
    return { id: `${key}:${windowMs}:${index}`, endMs };
  };

  function reservation(
    id: string,
    endMs: number,
    mark: string,
    state: Reservation['state'],
  ): Reservation {
    const settle = async (failures: number) => {
      if (state !== 'reserved') return;
      const change = {
        $inc: { n: failures },
        $pull: { reserved: { id: mark } },
        $setOnInsert: { until: new Date(endMs) },
      };
      await upserted(() =>
        collection().updateOne({ _id: id }, change, { ...bounded, upsert: failures > 0 }),
      );
    };
    return {
      state,
      resetsAtMs: endMs,
      fail: () => settle(1),
      release: () => settle(0).catch(() => undefined),
    };
  }

  return {
    async add(key, amount, windowMs) {
      const { id, endMs } = windowOf(key, windowMs, now());
      const found = await upserted(() =>
        collection().findOneAndUpdate(
          { _id: id },
          { $inc: { n: amount }, $setOnInsert: { until: new Date(endMs) } },
          { upsert: true, returnDocument: 'after', ...bounded },
        ),
      );
      return { total: found?.n ?? amount, resetsAtMs: endMs };
    },
    async reset(keys, windowMs) {
      const ids = keys.map((key) => windowOf(key, windowMs, now()).id);
      await collection().deleteMany({ _id: { $in: ids } }, bounded);
    },
    async reserve({ key, limit, windowMs }) {
      const nowMs = now();
      const { id, endMs } = windowOf(key, windowMs, nowMs);
      const mark = randomUUID();
      const found = await upserted(() =>
        collection().findOneAndUpdate({ _id: id }, reserving(mark, limit, nowMs, endMs), {
          upsert: true,
          returnDocument: 'after',
          ...bounded,
        }),
      );
      const isReserved = found?.reserved?.some((one) => one.id === mark) === true;
      return reservation(
        id,
        endMs,
        mark,
        isReserved ? 'reserved' : (found?.n ?? 0) >= limit ? 'spent' : 'busy',
      );
    },
  };
}

/** A pipeline that removes expired reservations, then adds this one if there is room. */
function reserving(mark: string, limit: number, nowMs: number, endMs: number) {
  const live = {
    $filter: {
      input: { $ifNull: ['$reserved', []] },
      cond: { $gt: ['$$this.until', new Date(nowMs)] },
    },
  };
  const hasRoom = { $lt: [{ $add: ['$n', { $size: '$reserved' }] }, limit] };
  const added = {
    $concatArrays: ['$reserved', [{ id: mark, until: new Date(nowMs + RESERVED_MS) }]],
  };
  return [
    { $set: { n: { $ifNull: ['$n', 0] }, until: new Date(endMs), reserved: live } },
    { $set: { reserved: { $cond: [hasRoom, added, '$reserved'] } } },
  ];
}
