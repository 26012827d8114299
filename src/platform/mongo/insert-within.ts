import type { mongo } from 'mongoose';

interface Limit<T extends { readonly _id: string }> {
  /** Which documents count. */
  readonly filter: mongo.Filter<T>;
  readonly max: number;
  readonly timeoutMs: number;
}

/**
 * Inserts a document where at most `max` of them may be. False: it would be one too many. It is
 * inserted first and counted then: concurrent calls see each other, so the limit holds.
 */
export async function insertWithin<T extends { readonly _id: string }>(
  rows: mongo.Collection<T>,
  row: mongo.OptionalUnlessRequiredId<T>,
  { filter, max, timeoutMs: maxTimeMS }: Limit<T>,
): Promise<boolean> {
  const remove = () => rows.deleteOne({ _id: row._id } as mongo.Filter<T>, { maxTimeMS });
  const options = { maxTimeMS, limit: max + 1, readPreference: 'primary' } as const;
  try {
    await rows.insertOne(row, { maxTimeMS });
    if ((await rows.countDocuments(filter, options)) <= max) return true;
  } catch (error) {
    // The caller is told that there is none. An insert that arrives later than this still leaves it.
    await remove().catch(() => undefined);
    throw error;
  }
  await remove();
  return false;
}
