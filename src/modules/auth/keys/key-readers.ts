import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Connection, mongo } from 'mongoose';
import { afterNow } from '../../../platform/mongo/expressions';

const KEY_READERS_COLLECTION = 'key_readers';

/** The keys that a process has read. */
interface SeenKeys {
  /** Generation of the oldest key that it accepts; 0: any. */
  readonly lowest: number;
  readonly highest: number;
  /** When the newest key starts to sign, as the process has read it. */
  readonly highestFrom: Date;
}

/** A process that verifies tokens: the keys it has read, and until when it uses them. */
export interface KeyReader extends SeenKeys {
  readonly _id: string;
  readonly host: string;
  readonly pid: number;
  /** By the database's clock. After it the process refuses every token until its next read. */
  readonly freshUntil: Date;
}

/**
 * The processes that have read the key set. A rotation waits until none of them accepts the old key
 * (docs/adr/0015-key-readers.md).
 */
export interface KeyReaders {
  /** Registers this process for `freshSeconds`. */
  report(seen: SeenKeys, freshSeconds: number): Promise<void>;
  /** Removes this process: it accepts no token any more. */
  leave(): Promise<void>;
  /** All processes that may accept tokens now. */
  list(): Promise<readonly KeyReader[]>;
}

export const keyReaderIndexes = {
  collection: KEY_READERS_COLLECTION,
  indexes: [{ key: { freshUntil: 1 }, name: 'expiry', expireAfterSeconds: 3600 }],
} as const;

/** Of a few rows, in the background. */
const bounded = { maxTimeMS: 5000 } as const;

export function createKeyReaders(connection: Connection): KeyReaders {
  const _id = randomUUID();

  function rows(): mongo.Collection<KeyReader> {
    if (connection.db === undefined) throw new Error('the database is not connected');
    return connection.db.collection<KeyReader>(KEY_READERS_COLLECTION);
  }

  return {
    async report(seen, freshSeconds) {
      const own = { ...seen, host: { $literal: hostname() }, pid: process.pid };
      await rows().updateOne(
        { _id },
        [{ $set: { ...own, freshUntil: afterNow(freshSeconds * 1000) } }],
        { ...bounded, upsert: true },
      );
    },
    async leave() {
      await rows().deleteOne({ _id }, bounded);
    },
    list: () =>
      rows()
        .find({ $expr: { $gt: ['$freshUntil', '$$NOW'] } }, bounded)
        .toArray(),
  };
}
