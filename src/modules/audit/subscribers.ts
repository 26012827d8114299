import type { Subscribers } from '../../platform/events';
import type { DomainEvents } from '../domain-events';
import type { AuditLog } from './audit-log';
import { createRecorder } from './recorder';
import { serviceRows } from './service-rows';
import { signInRows } from './sign-in-rows';
import { userRows } from './user-rows';

/** The rows of the audit log that the events of other modules make. */
export function auditSubscribers(log: Pick<AuditLog, 'record'>): Subscribers<DomainEvents> {
  const recorder = createRecorder(log);
  return { ...userRows(recorder), ...signInRows(recorder), ...serviceRows(recorder) };
}
