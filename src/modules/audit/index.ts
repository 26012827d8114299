import type { Connection } from 'mongoose';
import type { Closable } from '../../kernel/lifecycle';
import type { Module, ModuleStorage } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import { AUDIT_TYPES } from './audit-event';
import { type AuditLog, type AuditLogOptions, createAuditLog } from './audit-log';
import { auditIndexes } from './collection';
import { createAuditExport } from './personal-data';
import { purgeAuditLog } from './purge';
import { auditQueryShapes } from './query-shapes';
import { createAuditReader } from './reader';
import { createAuditRoutes } from './routes';
import { auditSubscribers } from './subscribers';

export { AUDIT_TYPES };

export const auditStorage: ModuleStorage = {
  indexes: () => [auditIndexes],
  queryShapes: (connection: Connection) => auditQueryShapes(connection),
};

/** Stores the security events of the other modules, and serves them to administrators. */
export function createAudit(
  options: AuditLogOptions,
): Module<DomainEvents> & Pick<AuditLog, 'flush'> & Closable {
  const { connection, timeoutMs } = options;
  const log = createAuditLog(options);
  return {
    name: 'audit',
    routes: createAuditRoutes(createAuditReader(connection, { timeoutMs })),
    subscribers: auditSubscribers(log),
    personalData: createAuditExport(connection, { timeoutMs }),
    async purge(removal) {
      await log.flush();
      await purgeAuditLog(connection, removal, { timeoutMs });
    },
    storage: auditStorage,
    flush: log.flush,
    close: log.close,
  };
}
