import type { mongo } from 'mongoose';
import { withTimeout } from '../lifecycle';

/** What all workers agree on about the shared copies. It lives in MongoDB, the one store that every write must reach anyway. */
export interface LedgerState {
  /** Part of every key in Redis; grows each time the shared copies are taken into use again. */
  readonly epoch: number;
  /** While true, no worker reads or fills shared copies. */
  readonly suspended: boolean;
  /** Grows with every suspension, repeated ones included. */
  readonly beat: number;
  /** The Redis data set in use (Topology.identify). */
  readonly dataset: string;
}

export interface Ledger {
  /** Creates it, naming `dataset`, when it is not there yet. */
  read(dataset: string): Promise<LedgerState>;
  /** Takes the shared copies out of use, or keeps them out of use. */
  suspend(): Promise<LedgerState>;
  /** Takes them into use again under a new epoch, unless anything has changed since `seen`. */
  resume(seen: LedgerState, dataset: string): Promise<void>;
}

export interface LedgerDocument {
  readonly _id: string;
  readonly epoch: number;
  readonly suspended: boolean;
  readonly beat: number;
  readonly dataset: string;
}

const DURABLE = { writeConcern: { w: 'majority', j: true } } as const;

/** Every call is bounded by `timeoutMs`. Reads are majority reads: what was seen cannot be rolled back by a failover. */
export function createMongoLedger(collection: mongo.Collection<LedgerDocument>, name: string, timeoutMs: number): Ledger {
  const id = { _id: `cache:${name}` };
  const bounded = <T>(work: Promise<T>): Promise<T> => withTimeout(work, timeoutMs, 'the cache ledger');
  const limits = { maxTimeMS: timeoutMs };
  return {
    async read(dataset) {
      const found = await bounded(collection.findOne(id, { ...limits, readPreference: 'primary', readConcern: 'majority' }));
      if (found !== null) return found;
      const first = { epoch: 1, suspended: false, beat: 0, dataset };
      const made = collection.findOneAndUpdate(
        id,
        { $setOnInsert: first },
        { ...limits, ...DURABLE, upsert: true, returnDocument: 'after' },
      );
      return (await bounded(made)) ?? first;
    },
    async suspend() {
      const change = { $set: { suspended: true }, $inc: { beat: 1 }, $setOnInsert: { epoch: 1, dataset: '' } };
      const state = await bounded(
        collection.findOneAndUpdate(id, change, { ...limits, ...DURABLE, upsert: true, returnDocument: 'after' }),
      );
      if (state === null) throw new Error('the cache ledger was not written');
      return state;
    },
    async resume(seen, dataset) {
      const unchanged = { ...id, epoch: seen.epoch, beat: seen.beat, suspended: true };
      await bounded(
        collection.updateOne(unchanged, { $set: { suspended: false, epoch: seen.epoch + 1, dataset } }, { ...limits, ...DURABLE }),
      );
    },
  };
}
