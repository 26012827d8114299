import type { Collection } from 'mongoose';
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

export const LEDGER_COLLECTION = 'cache_ledger';
/** Of each call. Well below the validity of what a look at the ledger says (permit.ts). */
export const LEDGER_TIMEOUT_MS = 1000;

/** `name` tells services apart that share a database. Reads are majority reads: what was seen cannot be rolled back by a failover. */
export function createMongoLedger(ledgers: () => Collection<LedgerDocument>, name: string, timeoutMs = LEDGER_TIMEOUT_MS): Ledger {
  const id = { _id: name };
  const bounded = <T>(work: Promise<T>): Promise<T> => withTimeout(work, timeoutMs, 'the cache ledger');
  const limits = { maxTimeMS: timeoutMs };
  return {
    async read(dataset) {
      const found = await bounded(ledgers().findOne(id, { ...limits, readPreference: 'primary', readConcern: 'majority' }));
      if (found !== null) return found;
      const first = { epoch: 1, suspended: false, beat: 0, dataset };
      const made = ledgers().findOneAndUpdate(
        id,
        { $setOnInsert: first },
        { ...limits, ...DURABLE, upsert: true, returnDocument: 'after' },
      );
      return (await bounded(made)) ?? first;
    },
    async suspend() {
      const change = { $set: { suspended: true }, $inc: { beat: 1 }, $setOnInsert: { epoch: 1, dataset: '' } };
      const state = await bounded(ledgers().findOneAndUpdate(id, change, { ...limits, ...DURABLE, upsert: true, returnDocument: 'after' }));
      if (state === null) throw new Error('the cache ledger was not written');
      return state;
    },
    async resume(seen, dataset) {
      const unchanged = { ...id, epoch: seen.epoch, beat: seen.beat, suspended: true };
      await bounded(
        ledgers().updateOne(unchanged, { $set: { suspended: false, epoch: seen.epoch + 1, dataset } }, { ...limits, ...DURABLE }),
      );
    },
  };
}
