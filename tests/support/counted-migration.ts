import type { Migration } from '../../src/platform/mongo/migrations/migration';

/** Counts in each document how often it was changed. */
export const countedMigration: Migration = {
  id: '0001-counted',
  collection: 'counted',
  outdated: { form: 1 },
  change: [{ $set: { form: 2, times: { $add: [{ $ifNull: ['$times', 0] }, 1] } } }],
};
