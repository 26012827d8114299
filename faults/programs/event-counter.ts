/**
 * Preloaded (`node --require`): the planted fault of the event scenarios. Each pump takes numbers
 * from a counter, a block at a time, instead of the next one of the log.
 */
import type { Connection } from 'mongoose';
import * as log from '../../src/platform/event-log/event-log';

const { createEventLog } = log;
const BLOCK = 100;

const counted: typeof createEventLog = (connection: Connection, options) => {
  let [next, end] = [1, 1];
  async function number(): Promise<number> {
    if (next === end) {
      const counter = await connection
        .collection<{ _id: string; last: number }>('event_counter')
        .findOneAndUpdate(
          { _id: 'events' },
          { $inc: { last: BLOCK } },
          { upsert: true, returnDocument: 'after' },
        );
      end = (counter?.last ?? BLOCK) + 1;
      next = end - BLOCK;
    }
    next += 1;
    return next - 1;
  }
  return {
    ...createEventLog(connection, options),
    async append(events) {
      const stored = connection.collection<{ _id: number }>(log.EVENTS_COLLECTION);
      // An event that is in the log already is refused by its id.
      for (const event of events)
        await stored.insertOne({ _id: await number(), ...event }).catch(() => undefined);
    },
  };
};
Object.assign(log, { createEventLog: counted });
