import type { Subscribers } from '../../platform/events';
import type { Cause, ConfirmedAction, DomainEvents, SessionEnd } from '../domain-events';
import type { AuditEvent, AuditType } from './audit-event';
import type { AuditLog } from './audit-log';

type Row = Omit<AuditEvent, 'result' | 'actor' | 'client' | 'job'>;

const CONFIRMED: Readonly<Record<ConfirmedAction, AuditType>> = {
  password_change: 'password_changed',
  email_change_request: 'email_change_requested',
  email_verification: 'email_verified',
  email_change: 'email_changed',
};
const PASSWORD: Readonly<Record<DomainEvents['PasswordChanged']['how'], AuditType>> = {
  change: 'password_changed',
  reset: 'password_reset',
  administration: 'password_set',
  required: 'password_changed',
};

/** The rows of the audit log that the events of other modules make. */
export function auditSubscribers({ record }: Pick<AuditLog, 'record'>): Subscribers<DomainEvents> {
  const success = (cause: Cause, row: Row) =>
    record({ ...row, result: 'success', ...partiesOf(cause) });
  const failure = (cause: Cause, row: Row) =>
    record({ ...row, result: 'failure', ...partiesOf(cause) });
  return {
    UserCreated: ({ userId: subject, actor = subject, ...event }) =>
      success(
        { ...event, actor },
        { type: actor === subject ? 'registered' : 'account_created', subject },
      ),
    RoleChanged: (event) =>
      success(event, { type: 'role_set', subject: event.userId, reason: event.role }),
    MetadataChanged: ({ userId: subject, members, ...event }) =>
      success(event, { type: 'metadata_changed', subject, reason: members.join(' ') }),
    StatusChanged: (event) => {
      const { userId: subject, status, until, reason: note, isOver } = event;
      const type = status === 'banned' ? 'account_banned' : 'account_unbanned';
      const reason = isOver === true ? 'expired' : until && `until ${until.toISOString()}`;
      success(event, { type, subject, ...(reason && { reason }), ...(note && { note }) });
    },
    PasswordChangeRequired: (event) => {
      const reason = event.endsSessions ? 'sessions_ended' : 'sessions_kept';
      success(event, { type: 'password_change_required', subject: event.userId, reason });
    },
    EmailChanged: (event) => success(event, { type: 'email_changed', subject: event.userId }),
    EmailVerified: (event) => success(event, { type: 'email_verified', subject: event.userId }),
    UserRemoved: (event) => success(event, { type: 'account_removed', subject: event.userId }),
    ChangeUnconfirmed: (event) =>
      failure(event, { type: 'change_unconfirmed', subject: event.userId }),
    UsersImportRequested: ({ jobId: subject, dryRun, ...event }) =>
      success(event, {
        type: 'import_requested',
        subject,
        ...(dryRun && { reason: 'dry_run' }),
      }),
    JobCancelled: ({ jobId: subject, ...event }) =>
      success(event, { type: 'job_cancelled', subject }),
    JobReportRead: ({ jobId: subject, ...event }) =>
      success(event, { type: 'job_report_read', subject }),
    UsersImported: ({ jobId: subject, state: reason, ...event }) => {
      // Told at least once, and the last of a job.
      const row = { type: 'users_imported', subject, reason, once: subject } as const;
      if (reason === 'done') success(event, row);
      else failure(event, row);
    },
    UsersExported: ({ format: reason, ...event }) =>
      success(event, { type: 'users_exported', reason }),
    PersonalDataExported: ({ userId, client }) =>
      success({ actor: userId, client }, { type: 'personal_data_exported', subject: userId }),
    LoginSucceeded: ({ userId, client }) =>
      success({ actor: userId, client }, { type: 'login', subject: userId }),
    NewDeviceUsed: ({ userId, client }) =>
      success({ actor: userId, client }, { type: 'new_device', subject: userId }),
    FactorRequested: ({ userId, client }) =>
      success({ actor: userId, client }, { type: 'factor_requested', subject: userId }),
    FactorFailed: ({ userId: subject, kind, reason, ...event }) =>
      failure(event, { type: 'factor_verified', subject, reason: `${kind} ${reason}` }),
    SteppedUp: ({ userId: subject, kind: reason, session, ...event }) =>
      success({ ...event, actor: subject }, { type: 'stepped_up', subject, reason, session }),
    FactorAdded: ({ userId: subject, kind: reason, session, ...event }) =>
      success(event, { type: 'factor_added', subject, reason, ...(session && { session }) }),
    FactorRemoved: ({ userId: subject, kind: reason, session, ...event }) =>
      success(event, { type: 'factor_removed', subject, reason, ...(session && { session }) }),
    RecoveryCodesReplaced: ({ userId: subject, session, ...event }) =>
      success(event, { type: 'recovery_codes_replaced', subject, ...(session && { session }) }),
    RecoveryCodeUsed: ({ userId: subject, remaining, ...event }) =>
      success(event, { type: 'recovery_code_used', subject, reason: `${remaining} left` }),
    // The actor is unknown: it has a token of the user, and lacks what goes with it.
    RefreshRefused: ({ userId: subject, session, reason, ...event }) =>
      failure(event, { type: 'refresh_refused', subject, session, reason }),
    LoginFailed: (event) =>
      failure(event, { type: 'login', subject: event.userId, reason: event.reason }),
    PasswordChanged: (event) => {
      const { userId: subject, how, session } = event;
      success(event, { type: PASSWORD[how], subject, ...(session && { session }) });
    },
    ConfirmationFailed: (event) => {
      const { userId: subject, action, reason, session } = event;
      failure(event, { type: CONFIRMED[action], subject, reason, ...(session && { session }) });
    },
    PasswordResetRequested: (event) => {
      const row = { type: 'password_reset_requested', subject: event.userId } as const;
      if (event.isUsable) success(event, row);
      else failure(event, row);
    },
    EmailSignInRequested: (event) => {
      const row = { type: 'email_sign_in_requested', subject: event.userId } as const;
      if (event.isUsable) success(event, row);
      else failure(event, row);
    },
    EmailChangeRequested: (event) =>
      success(event, { type: 'email_change_requested', subject: event.userId }),
    InvitationSent: (event) => success(event, { type: 'invitation_sent', subject: event.userId }),
    InvitationAccepted: ({ userId, client }) =>
      success({ actor: userId, client }, { type: 'invitation_accepted', subject: userId }),
    IdentityLinked: ({ userId: subject, provider: reason, ...event }) =>
      success(event, { type: 'identity_linked', subject, reason, session: event.session }),
    IdentityLinkRefused: ({ userId: subject, provider, session, reason, ...event }) =>
      failure(event, {
        ...{ type: 'identity_linked', subject, session },
        reason: `${provider} ${reason}`.trim(),
      }),
    IdentityUnlinked: ({ userId: subject, provider: reason, ...event }) =>
      success(event, { type: 'identity_unlinked', subject, reason, session: event.session }),
    SessionsEnded(event) {
      const { userId: subject, session, by } = event;
      const row = { ...endedBy(by), subject, ...(session && { session }) };
      if (by.kind === 'refresh_token_reuse') failure(event, row);
      else success(event, row);
    },
    ImpersonationStarted({ userId, actor, tokenId, session, reason, client }) {
      // On record of both. Whoever looks at either finds the other.
      for (const subject of [userId, actor])
        record({
          ...{ type: 'impersonation_started', result: 'success', actor, subject, client },
          ...{ impersonated: userId, tokenId, session, ...(reason && { reason }) },
        });
    },
    ImpersonationRefused: ({ userId: subject, reason, ...event }) =>
      failure(event, { type: 'impersonation_started', subject, reason }),
    PasskeyRenamed: (event) => success(event, passkeyRow('passkey_renamed', event)),
    PasskeyCounterStalled: (event) => failure(event, passkeyRow('passkey_counter_stalled', event)),
    AccountUnlocked: (event) => success(event, { type: 'account_unlocked', subject: event.userId }),
    WebhookChanged: (event) =>
      success(event, { type: `webhook_${event.how}`, subject: event.webhookId }),
    WebhookDisabled: ({ webhookId: subject, reason, client }) =>
      failure({ client }, { type: 'webhook_disabled', subject, reason }),
    ServiceAccountCreated: (event) =>
      success(event, { type: 'service_account_created', subject: event.accountId }),
    ServiceAccountRevoked: (event) =>
      success(event, { type: 'service_account_revoked', subject: event.accountId }),
    ClientTokenIssued: (event) =>
      success(event, { type: 'client_token_issued', subject: event.accountId }),
    ClientTokenRefused: ({ accountId: subject, reason, ...event }) =>
      failure(event, { type: 'client_token_issued', subject, reason }),
    ClientTokenRevoked: (event) =>
      success(event, { type: 'client_token_revoked', subject: event.accountId }),
    ClientAuthenticationFailed: ({ accountId: subject, reason, ...event }) =>
      failure(event, { type: 'client_authentication', subject, reason }),
    SigningKeyRotated: (event) =>
      success(event, { type: 'signing_key_rotated', reason: event.reason }),
  };
}

/** `reason` is the id of the passkey. */
const passkeyRow = (type: AuditType, event: DomainEvents['PasskeyRenamed']): Row => ({
  ...{ type, subject: event.userId, reason: event.passkey },
  ...(event.session && { session: event.session }),
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

function endedBy(by: SessionEnd): { type: AuditType; reason?: string } {
  switch (by.kind) {
    case 'logout':
      return { type: 'logout', reason: by.scope };
    case 'refresh_token_reuse':
      return { type: 'refresh_token_reused' };
    case 'user':
      return { type: 'session_ended' };
    case 'administration':
      return { type: by.scope === 'one' ? 'session_ended' : 'sessions_ended', reason: by.kind };
    default:
      return { type: 'session_ended', reason: by.kind };
  }
}
