import type { Connection } from 'mongoose';
import type { QueryShape } from '../users/shapes';
import { AUDIT_COLLECTION, type AuditRow } from './audit';
import { auditCursorOf, auditFilter } from './audit-reader';
import { DEVICES_COLLECTION } from './known-devices';
import { ONE_TIME_TOKENS_COLLECTION } from './one-time-tokens';
import { SESSIONS_COLLECTION } from './session-store';

const SOME_ID = '652f1c3e9b1d4a0012ab34cd';

/** The queries of authentication that are not by `_id`; for `npm run explain` and its test. */
export function authQueryShapes(connection: Connection): QueryShape[] {
  const find = (name: string, collection: string, filter: object, sort: Record<string, 1 | -1> = {}): QueryShape => ({
    name,
    explain: () => connection.collection(collection).find(filter).sort(sort).limit(51).explain('queryPlanner'),
  });
  const newest = { at: -1, _id: -1 } as const;
  const cursor = auditCursorOf({ at: new Date(), _id: connection.base.Types.ObjectId.createFromHexString(SOME_ID) } as unknown as AuditRow);
  const audit = (name: string, query: Parameters<typeof auditFilter>[0]) => [
    find(`audit ${name}`, AUDIT_COLLECTION, auditFilter(query), newest),
    find(`audit ${name} after a cursor`, AUDIT_COLLECTION, auditFilter(query, cursor), newest),
  ];
  return [
    find(
      'sessions of a user',
      SESSIONS_COLLECTION,
      { userId: SOME_ID, until: { $gt: new Date() }, endedAt: { $exists: false } },
      { lastUsedAt: -1 },
    ),
    find('known devices of a user', DEVICES_COLLECTION, { userId: SOME_ID }),
    find('mailed tokens of a user', ONE_TIME_TOKENS_COLLECTION, { userId: SOME_ID, purpose: 'reset-password' }),
    ...audit('all', {}),
    ...audit('by type', { type: 'login' }),
    ...audit('by subject', { subject: SOME_ID }),
    ...audit('by subject and type', { subject: SOME_ID, type: 'login' }),
  ];
}
