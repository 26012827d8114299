import type { Connection } from 'mongoose';
import { keyedDigest } from '../../kernel/crypto/digest';
import { randomToken } from '../../kernel/crypto/random';
import { withTimeout } from '../../kernel/lifecycle';
import { EPOCH_COLLECTION, EPOCH_STORE_TIMEOUT_MS, NAMES } from './epoch-store';

export type Digest = (text: string) => string;

const CHARS = 22;

/**
 * Every client of Redis can see its keys (MONITOR, SCAN, the slow log). Queries and addresses are
 * easy to guess, so a plain hash would hide nothing: this one depends on a key that is not in
 * Redis.
 * 132 bits.
 */
export const createDigest =
  (key: string): Digest =>
  (text) =>
    keyedDigest(key, text, CHARS);

interface NamesDocument {
  readonly _id: string;
  readonly key: string;
}

/**
 * A digest with the key of this database: all processes on it, tools included, compute the same
 * names, whatever secrets they are given.
 */
export async function connectDigest(connection: Connection): Promise<Digest> {
  const ask = async () => {
    const change = { $setOnInsert: { key: randomToken(32) } };
    const options = {
      upsert: true,
      returnDocument: 'after',
      maxTimeMS: EPOCH_STORE_TIMEOUT_MS,
      writeConcern: { w: 'majority', j: true },
    } as const;
    const found = connection
      .collection<NamesDocument>(EPOCH_COLLECTION)
      .findOneAndUpdate({ _id: NAMES }, change, options);
    const document = await withTimeout(found, EPOCH_STORE_TIMEOUT_MS, 'the key for names in Redis');
    if (document === null) throw new Error('the key for names in Redis was not written');
    return document.key;
  };
  // Repeated, since two processes that create it at the same time may collide.
  return createDigest(await ask().catch(ask));
}
