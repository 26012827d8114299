import type { Connection } from 'mongoose';
import type { QueryShape } from '../../platform/mongo/explain';
import { rowsAfter } from '../../platform/mongo/keyset';
import type { AuditRow } from './audit-event';
import { AUDIT_COLLECTION } from './collection';
import { auditCursorOf, auditFilter } from './reader';

const SOME_ID = '652f1c3e9b1d4a0012ab34cd';

/** Every query of the audit log. */
export function auditQueryShapes(connection: Connection): QueryShape[] {
  const cursor = auditCursorOf({
    at: new Date(),
    _id: connection.base.Types.ObjectId.createFromHexString(SOME_ID),
  } as unknown as AuditRow);
  const find = (name: string, filter: object): QueryShape => ({
    name,
    explain: () =>
      connection
        .collection(AUDIT_COLLECTION)
        .find(filter)
        .sort({ at: -1, _id: -1 })
        .limit(51)
        .explain('queryPlanner'),
  });
  const queries: [string, Parameters<typeof auditFilter>[0]][] = [
    ['all', {}],
    ['by type', { type: 'login' }],
    ['by subject', { subject: SOME_ID }],
    ['by subject and type', { subject: SOME_ID, type: 'login' }],
  ];
  const byActor = (name: string, filter: object): QueryShape => find(`audit ${name}`, filter);
  return [
    byActor('by actor', { actor: SOME_ID }),
    {
      name: 'audit of an impersonated user',
      explain: () =>
        connection
          .collection(AUDIT_COLLECTION)
          .find({ impersonated: SOME_ID })
          .limit(500)
          .explain('queryPlanner'),
    },
    byActor('by actor after a position', {
      actor: SOME_ID,
      ...Object.assign({}, ...rowsAfter('at', -1, { value: new Date(), id: SOME_ID })),
    }),
    ...queries.flatMap(([name, query]) => [
      find(`audit ${name}`, auditFilter(query)),
      find(`audit ${name} after a cursor`, auditFilter(query, cursor)),
    ]),
  ];
}
