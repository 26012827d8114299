import type { Connection } from 'mongoose';

interface Mark {
  readonly _id: string;
  readonly since: Date;
}

const COLLECTION = 'deployment';
const ID = 'production';

const markOf = (connection: Connection) => connection.collection<Mark>(COLLECTION);

/** Says for good that a service with NODE_ENV=production uses this database. */
export async function markProduction(
  connection: Connection,
  since: Date,
  timeoutMs: number,
): Promise<void> {
  const change = { $setOnInsert: { since } };
  const options = { upsert: true, maxTimeMS: timeoutMs, writeConcern: { w: 'majority' } } as const;
  await markOf(connection).updateOne({ _id: ID }, change, options);
}

/** Whether tools that write test data must leave this database alone. */
export async function isProduction(connection: Connection, timeoutMs: number): Promise<boolean> {
  const found = await markOf(connection).findOne({ _id: ID }, { maxTimeMS: timeoutMs });
  return found !== null;
}
