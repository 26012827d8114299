import { EVENTS_COLLECTION, eventLogIndexes } from '../../platform/event-log/event-log';
import type { ModuleStorage } from '../../platform/module';

export const eventsStorage: ModuleStorage = {
  indexes: () => [eventLogIndexes],
  queryShapes: (connection, { timeoutMs }) => [
    {
      name: 'events of a user',
      explain: () =>
        connection
          .collection(EVENTS_COLLECTION)
          .find({ subject: '652f1c3e9b1d4a0012ab34cd' }, { maxTimeMS: timeoutMs })
          .sort({ _id: -1 })
          .limit(1)
          .explain('queryPlanner'),
    },
    {
      name: 'an event by its id',
      explain: () =>
        connection
          .collection(EVENTS_COLLECTION)
          .find({ id: '6b08c3a1fd17d31180748f48' }, { maxTimeMS: timeoutMs })
          .explain('queryPlanner'),
    },
  ],
};
