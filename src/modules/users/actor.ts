import type { Actor as PermissionHolder } from '../../kernel/permissions';
import { type ClientInfo, NO_CLIENT } from '../../platform/http/client-info';
import type { Cause } from '../domain-events';

export interface Actor extends PermissionHolder {
  /** For the events of the write. Absent: this service itself. */
  readonly client?: ClientInfo;
}

/** The user itself, and nobody who acts as it. */
export const isItself = ({ userId, client }: Actor, id: string): boolean =>
  userId === id && client?.impersonation === undefined;

export const causeOf = ({ userId: actor, client = NO_CLIENT }: Actor): Cause => ({ actor, client });
