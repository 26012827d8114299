import type { Types } from 'mongoose';
import type { ClientInfo } from '../../platform/http/client-info';

export const AUDIT_TYPES = [
  'registered',
  'login',
  'new_device',
  'factor_requested',
  'factor_verified',
  'stepped_up',
  'factor_added',
  'factor_removed',
  'recovery_codes_replaced',
  'recovery_code_used',
  'logout',
  'session_ended',
  'sessions_ended',
  'refresh_token_reused',
  'refresh_refused',
  'password_changed',
  'password_reset_requested',
  'password_reset',
  'email_sign_in_requested',
  'email_verified',
  'email_change_requested',
  'email_changed',
  'account_created',
  'role_set',
  'metadata_changed',
  'account_removed',
  'change_unconfirmed',
  'personal_data_exported',
  'account_banned',
  'account_unbanned',
  'account_unlocked',
  'passkey_renamed',
  'passkey_counter_stalled',
  'password_change_required',
  'password_set',
  'invitation_sent',
  'invitation_accepted',
  'identity_linked',
  'identity_unlinked',
  'impersonation_started',
  'signing_key_rotated',
  'service_account_created',
  'service_account_revoked',
  'webhook_created',
  'webhook_changed',
  'webhook_removed',
  'webhook_disabled',
  'client_token_issued',
  'client_token_revoked',
  'client_authentication',
  'import_requested',
  'job_cancelled',
  'job_report_read',
  'users_imported',
  'users_exported',
] as const;

export type AuditType = (typeof AUDIT_TYPES)[number];

/**
 * The actor, the action, the client and the result. Never holds a secret: there is no field that
 * could, but for `note`, which an administrator writes.
 */
export interface AuditEvent {
  readonly type: AuditType;
  readonly result: 'success' | 'failure';
  /** The reason of a failure as a stable code; of an impersonation, the reason of the actor. */
  readonly reason?: string;
  /** The note of an administrator. */
  readonly note?: string;
  /** The id of the actor, where it is known. */
  readonly actor?: string | undefined;
  /** The user that the actor acted as (RFC 8693). */
  readonly impersonated?: string;
  /** The `jti` of the token that was issued. */
  readonly tokenId?: string;
  /** The account concerned, where there is one. */
  readonly subject?: string | undefined;
  readonly session?: string;
  /** The import that did it. */
  readonly job?: string;
  /** Of an event that may be recorded again, an object id: the log has it once. */
  readonly once?: string;
  readonly client: ClientInfo;
}

export interface AuditRow extends Omit<AuditEvent, 'client' | 'once'> {
  readonly _id: Types.ObjectId;
  readonly at: Date;
  readonly network: string;
  readonly userAgent: string;
  readonly requestId: string;
  /** How many such events the row stands for, where it is more than this one. */
  readonly count?: number;
  /** When it may be removed. */
  readonly until: Date;
}
