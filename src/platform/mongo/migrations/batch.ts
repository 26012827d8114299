import type { Connection, mongo } from 'mongoose';
import { isBefore } from '../expressions';
import { type Conversion, isConversion, type Migration } from './migration';

export interface BatchOptions {
  /** Documents to look at. */
  readonly size: number;
  readonly timeoutMs: number;
  /** When the lock expires, by the database's clock: no write takes effect after it. */
  readonly until: Date;
}

export interface Batch {
  /** `_id` of the last document that was looked at. */
  readonly last: unknown;
  readonly examined: number;
  /** Documents of the old form. */
  readonly met: number;
  readonly changed: number;
}

/**
 * Looks at the next documents in the order of `_id` and changes those of the old form. Every write
 * names the old form, so a document that another process has written meanwhile, or has changed
 * already, stays as it is. Null: there are no more documents.
 */
export async function runBatch(
  connection: Connection,
  migration: Migration,
  after: unknown,
  options: BatchOptions,
): Promise<Batch | null> {
  const collection = documentsOf(connection, migration);
  const bounded = { maxTimeMS: options.timeoutMs };
  const ids = await collection
    .find(after === undefined ? {} : { _id: { $gt: after as never } }, {
      ...{ projection: { _id: 1 }, sort: { _id: 1 }, hint: { _id: 1 }, limit: options.size },
      ...bounded,
    })
    .toArray();
  const last = ids.at(-1)?._id;
  if (last === undefined) return null;
  const range = { _id: { ...(after === undefined ? {} : { $gt: after }), $lte: last } };
  const { change } = migration;
  const selected = inTime({ $and: [range, migration.outdated] }, options);
  if (isConversion(change)) {
    const done = await convertAll(collection, migration, change, selected, options);
    return { last, examined: ids.length, ...done };
  }
  const { matchedCount, modifiedCount } = await collection.updateMany(
    selected as never,
    [...change],
    bounded,
  );
  return { last, examined: ids.length, met: matchedCount, changed: modifiedCount };
}

const documentsOf = (connection: Connection, { collection }: Migration) =>
  connection.collection<mongo.Document>(collection);

const inTime = (filter: { $and: mongo.Document[] }, { until }: BatchOptions) => ({
  $and: [...filter.$and, { $expr: isBefore(until) }],
});

async function convertAll(
  collection: ReturnType<typeof documentsOf>,
  { outdated }: Migration,
  { reads, convert }: Conversion,
  selected: mongo.Document,
  options: BatchOptions,
): Promise<{ met: number; changed: number }> {
  const projection = Object.fromEntries(reads.map((name) => [name, 1]));
  const bounded = { maxTimeMS: options.timeoutMs };
  const found = await collection.find(selected, { projection, ...bounded }).toArray();
  if (found.length === 0) return { met: 0, changed: 0 };
  const writes = found.map((document) => {
    const seen = reads.map((name) =>
      name in document ? { [name]: { $eq: document[name] } } : { [name]: { $exists: false } },
    );
    const filter = inTime({ $and: [{ _id: document._id }, outdated, ...seen] }, options);
    return { updateOne: { filter, update: convert(document) } };
  });
  const { modifiedCount } = await collection.bulkWrite(writes, { ordered: false, ...bounded });
  return { met: found.length, changed: modifiedCount };
}
