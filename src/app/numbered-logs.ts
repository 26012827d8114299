import { type Connection, Types } from 'mongoose';
import { REVOCATIONS_COLLECTION } from '../modules/auth';
import { EVENTS_COLLECTION } from '../platform/event-log/event-log';
import type { NumberedLog } from '../platform/mongo/move-numbers';

/** The logs that other services follow by numbers. */
export function numberedLogs(
  connection: Connection,
  now: Date,
): readonly (NumberedLog & { readonly name: string })[] {
  const logOf = (name: string) => ({ name, rows: connection.collection<{ _id: number }>(name) });
  return [
    // Users are not what readers have made of the events since the backup.
    {
      ...logOf(EVENTS_COLLECTION),
      ...{ fresh: { id: new Types.ObjectId().toHexString() }, beginsAnew: true },
    },
    // What ended before the backup is still wanted. More than that ends nothing that stands for
    // long.
    { ...logOf(REVOCATIONS_COLLECTION), fresh: { at: now }, beginsAnew: false },
  ];
}
