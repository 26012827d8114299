import { setTimeout as delay } from 'node:timers/promises';
import type { mongo } from 'mongoose';
import { problems } from '../../kernel/errors';
import { DRIVER_GRACE_MS } from './bounded';
import { isInDoubt } from './errors';
import { errorOfInsert, ifBefore } from './late-insert';

interface Limit<T extends { readonly _id: string }> {
  /** Which documents count. */
  readonly filter: mongo.Filter<T>;
  readonly max: number;
  readonly timeoutMs: number;
  /** The database's time. */
  readonly now: () => number;
}

/**
 * Inserts a document where at most `max` of them may be. False: it would be one too many. It is
 * inserted first and counted then: concurrent calls see each other, so the limit holds. Where it
 * throws, there is no document, also later; but for 503 `write_unconfirmed`.
 */
export async function insertWithin<T extends { readonly _id: string }>(
  rows: mongo.Collection<T>,
  row: T,
  { filter, max, timeoutMs: maxTimeMS, now }: Limit<T>,
): Promise<boolean> {
  const until = new Date(now() + maxTimeMS);
  const remove = () =>
    rows.deleteOne({ _id: row._id } as mongo.Filter<T>, { maxTimeMS }).catch((error: unknown) => {
      throw problems.unconfirmed(error);
    });
  const options = { maxTimeMS, limit: max + 1, readPreference: 'primary' } as const;
  try {
    await insertBefore(rows, row, until, maxTimeMS);
    if ((await rows.countDocuments(filter, options)) <= max) return true;
  } catch (error) {
    // A command that is still on its way to the database has no effect from then on.
    if (isInDoubt(error)) await delay(Math.max(0, until.getTime() - now()) + DRIVER_GRACE_MS);
    await remove();
    throw errorOfInsert(error);
  }
  await remove();
  return false;
}

const insertBefore = <T extends { readonly _id: string }>(
  rows: mongo.Collection<T>,
  row: T,
  until: Date,
  maxTimeMS: number,
) =>
  rows.updateOne(
    { _id: row._id } as mongo.Filter<T>,
    [{ $replaceWith: { $literal: row } }, { $set: { _id: ifBefore(until) } }],
    { upsert: true, maxTimeMS },
  );
