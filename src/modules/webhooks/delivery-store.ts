import type { Connection } from 'mongoose';
import { afterNow, dueFilter } from '../../platform/mongo/expressions';
import type { IndexedCollection } from '../../platform/mongo/indexed-collection';
import type { Delivery, Failure } from './webhook';

export const DELIVERIES_COLLECTION = 'webhook_deliveries';

/** A failed attempt. `pauseMs`: undefined: it was the last one. */
interface FailedAttempt {
  readonly webhook: string;
  readonly sequence: number;
  readonly failure: Failure | undefined;
  readonly pauseMs: number | undefined;
}

/**
 * The deliveries that failed: to be repeated, or dead letters. They name their events by sequence;
 * the log of events has the rest, and forgets it no later.
 */
export interface DeliveryStore {
  /** Adds the delivery, or an attempt to it. */
  failed(attempt: FailedAttempt): Promise<void>;
  /** It was delivered, or cannot be any more. */
  remove(webhook: string, sequence: number): Promise<void>;
  removeAll(webhook: string): Promise<void>;
  /** Of `limit` at most, those that are due, the oldest event first. */
  due(webhook: string, limit: number): Promise<Delivery[]>;
  /** The webhooks that have some due. */
  dueWebhooks(): Promise<string[]>;
  list(webhook: string, query: ListQuery): Promise<Delivery[]>;
  /** Waiting and dead ones, or only the waiting ones. Resolves with how many. */
  makeDue(webhook: string, which: 'all' | 'waiting'): Promise<number>;
  /** The same of one event, also of one that was delivered. */
  makeOneDue(webhook: string, sequence: number): Promise<void>;
}

interface ListQuery {
  readonly after: number;
  readonly limit: number;
  readonly state?: Delivery['state'];
}

type Row = Delivery & { readonly _id: string; readonly until: Date };

export const deliveryIndexes: IndexedCollection = {
  collection: DELIVERIES_COLLECTION,
  indexes: [
    { key: { webhook: 1, sequence: 1 }, name: 'by_webhook' },
    { key: { state: 1, dueAt: 1 }, name: 'by_due' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
};

const DAY_MS = 86_400_000;
const keyOf = (webhook: string, sequence: number) => `${webhook}:${sequence}`;

export function createDeliveryStore(
  connection: Connection,
  { timeoutMs, keepDays }: { readonly timeoutMs: number; readonly keepDays: number },
): DeliveryStore {
  const rows = () => connection.collection<Row>(DELIVERIES_COLLECTION);
  const bounded = { maxTimeMS: timeoutMs };
  const strict = { ...bounded, readPreference: 'primary' } as const;
  const fresh = { createdAt: '$$NOW', until: afterNow(keepDays * DAY_MS) };
  const kept = (name: keyof typeof fresh) => ({ $ifNull: [`$${name}`, fresh[name]] });

  async function put(webhook: string, sequence: number, set: object): Promise<void> {
    const row = { webhook, sequence, createdAt: kept('createdAt'), until: kept('until'), ...set };
    const key = { _id: keyOf(webhook, sequence) };
    await rows().updateOne(key, [{ $set: row }], { ...bounded, upsert: true });
  }
  const WAITS_NOW = { state: 'waiting', dueAt: '$$NOW' } as const;

  return {
    failed: ({ webhook, sequence, failure, pauseMs }) =>
      put(webhook, sequence, {
        state: pauseMs === undefined ? 'dead' : 'waiting',
        dueAt: afterNow(pauseMs ?? 0),
        attempts: { $add: [{ $ifNull: ['$attempts', 0] }, failure === undefined ? 0 : 1] },
        ...(failure && { lastFailure: failure }),
      }),
    async remove(webhook, sequence) {
      await rows().deleteOne({ _id: keyOf(webhook, sequence) }, bounded);
    },
    async removeAll(webhook) {
      await rows().deleteMany({ webhook }, bounded);
    },
    due: async (webhook, limit) =>
      rows()
        .find({ webhook, state: 'waiting', ...dueFilter }, { ...strict, sort: { sequence: 1 } })
        .limit(limit)
        .toArray(),
    async dueWebhooks() {
      // MongoDB's `distinct` does not know `$$NOW`.
      const stages = [
        { $match: { state: 'waiting', ...dueFilter } },
        { $group: { _id: '$webhook' } },
      ];
      const found = await rows().aggregate<{ _id: string }>(stages, strict).toArray();
      return found.map(({ _id }) => _id);
    },
    list: async (webhook, { after, limit, state }) =>
      rows()
        .find(
          { webhook, sequence: { $gt: after }, ...(state === undefined ? {} : { state }) },
          { ...strict, sort: { sequence: 1 } },
        )
        .limit(limit)
        .toArray(),
    async makeDue(webhook, which) {
      const filter = which === 'all' ? { webhook } : { webhook, state: 'waiting' as const };
      // A dead letter gets all its attempts once more.
      const set = which === 'all' ? { ...WAITS_NOW, attempts: 0 } : WAITS_NOW;
      return (await rows().updateMany(filter, [{ $set: set }], bounded)).matchedCount;
    },
    makeOneDue: (webhook, sequence) => put(webhook, sequence, { ...WAITS_NOW, attempts: 0 }),
  };
}
