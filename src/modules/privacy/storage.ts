import type { ModuleStorage } from '../../platform/module';
import { dueFilter } from '../../platform/mongo/expressions';
import { pendingQuery } from '../../platform/outbox/outbox-source';
import { REMOVALS_COLLECTION, removalIndexes } from './removals';

export const privacyStorage: ModuleStorage = {
  indexes: () => [removalIndexes],
  queryShapes: (connection, { timeoutMs }) => [
    {
      name: 'removals with pending events',
      explain: () =>
        connection
          .collection(REMOVALS_COLLECTION)
          .find(...pendingQuery(500, timeoutMs))
          .explain('queryPlanner'),
    },
    {
      name: 'the removal that is due',
      explain: () =>
        connection
          .collection(REMOVALS_COLLECTION)
          .find(dueFilter)
          .sort({ dueAt: 1 })
          .limit(1)
          .explain('queryPlanner'),
    },
  ],
};
