import type { Connection } from 'mongoose';
import { EPOCH_COLLECTION } from '../../src/platform/cache/epoch-store';
import { EVENTS_COLLECTION } from '../../src/platform/event-log/event-log';

/**
 * Takes the database back to the state of this moment. Remembers which documents there are: keys,
 * finished migrations. They are few.
 */
export async function rememberState(connection: Connection): Promise<() => Promise<void>> {
  const { db } = connection;
  if (db === undefined) throw new Error('not connected');
  const names = async () =>
    (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  const kept = new Map<string, unknown[]>();
  for (const name of await names()) kept.set(name, await db.collection(name).distinct('_id'));

  const events = db.collection<{ _id: number }>(EVENTS_COLLECTION);
  /** The last one stays: a number that came back would mean something else to its readers. */
  async function forgetEvents(): Promise<void> {
    const last = await events.findOne({}, { sort: { _id: -1 } });
    if (last !== null) await events.deleteMany({ _id: { $lt: last._id } });
  }
  return async () => {
    const emptied = (await names()).filter(
      (name) => ![EVENTS_COLLECTION, EPOCH_COLLECTION].includes(name),
    );
    await Promise.all([
      forgetEvents(),
      ...emptied.map((name) =>
        db.collection(name).deleteMany({ _id: { $nin: (kept.get(name) ?? []) as never[] } }),
      ),
    ]);
  };
}
