import type { Cause } from '../domain-events';
import type { AuditEvent } from './audit-event';
import type { AuditLog } from './audit-log';

export type Row = Omit<AuditEvent, 'result' | 'actor' | 'client' | 'job'>;

export interface Recorder extends Pick<AuditLog, 'record'> {
  readonly success: (cause: Cause, row: Row) => void;
  readonly failure: (cause: Cause, row: Row) => void;
}

export const createRecorder = ({ record }: Pick<AuditLog, 'record'>): Recorder => ({
  record,
  success: (cause, row) => record({ ...row, result: 'success', ...partiesOf(cause) }),
  failure: (cause, row) => record({ ...row, result: 'failure', ...partiesOf(cause) }),
});

/** Of a request by which an administrator acted as a user, the log names both. */
function partiesOf({
  actor,
  client,
  job,
}: Cause): Pick<AuditEvent, 'actor' | 'client' | 'impersonated' | 'job'> {
  const { impersonation } = client;
  return impersonation === undefined
    ? { actor, client, ...(job !== undefined && { job }) }
    : { actor: impersonation.actor, impersonated: impersonation.user, client };
}
