export const AUDIT_COLLECTION = 'audit_events';

export const auditIndexes = {
  collection: AUDIT_COLLECTION,
  indexes: [
    { key: { at: -1, _id: -1 }, name: 'by_time' },
    { key: { subject: 1, at: -1, _id: -1 }, name: 'by_subject' },
    // For the purge and the export of a user.
    { key: { actor: 1, at: -1, _id: -1 }, name: 'by_actor' },
    {
      key: { impersonated: 1 },
      name: 'by_impersonated',
      partialFilterExpression: { impersonated: { $exists: true } },
    },
    { key: { type: 1, at: -1, _id: -1 }, name: 'by_type' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 0 },
  ],
} as const;
