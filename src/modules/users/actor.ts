import type { Actor as PermissionHolder } from '../../kernel/permissions';
import { type ClientInfo, NO_CLIENT } from '../../platform/http/client-info';
import type { Cause } from '../domain-events';

export interface Actor extends PermissionHolder {
  /** For the events of the write. Absent: this service itself. */
  readonly client?: ClientInfo;
}

export const causeOf = ({ userId: actor, client = NO_CLIENT }: Actor): Cause => ({ actor, client });
