/**
 * Preloaded (`node --require`): the planted fault of the event scenarios. The pump trusts its lock:
 * it remembers the next number, and writes there even if another pump did.
 */
import type { Connection } from 'mongoose';
import * as log from '../../src/platform/event-log/event-log';

const { createEventLog } = log;

const unfenced: typeof createEventLog = (connection: Connection, options) => {
  const real = createEventLog(connection, options);
  let next: number | undefined;
  return {
    ...real,
    async append(events) {
      next ??= (await real.latest()) + 1;
      const stored = connection.collection<{ _id: number }>(log.EVENTS_COLLECTION);
      for (const event of events) {
        await stored
          .replaceOne({ _id: next }, { ...event }, { upsert: true })
          .catch(() => undefined);
        next += 1;
      }
    },
  };
};
Object.assign(log, { createEventLog: unfenced });
