import type { ModuleStorage } from '../../platform/module';
import { dueFilter } from '../../platform/mongo/expressions';
import { DELIVERIES_COLLECTION, deliveryIndexes } from './delivery-store';
import { WEBHOOKS_COLLECTION } from './webhook-store';

export const webhooksStorage: ModuleStorage = {
  indexes: () => [
    { collection: WEBHOOKS_COLLECTION, indexes: [{ key: { status: 1 }, name: 'by_status' }] },
    deliveryIndexes,
  ],
  queryShapes: (connection, { timeoutMs }) => [
    {
      name: 'failed deliveries that are due',
      explain: () =>
        connection
          .collection(DELIVERIES_COLLECTION)
          .find({ state: 'waiting', ...dueFilter }, { maxTimeMS: timeoutMs })
          .explain('queryPlanner'),
    },
    {
      name: 'failed deliveries of a webhook',
      explain: () =>
        connection
          .collection(DELIVERIES_COLLECTION)
          .find({ webhook: '652f1c3e9b1d4a0012ab34cd', sequence: { $gt: 0 } })
          .sort({ sequence: 1 })
          .maxTimeMS(timeoutMs)
          .explain('queryPlanner'),
    },
  ],
};
