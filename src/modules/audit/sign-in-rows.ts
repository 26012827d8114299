import type { Subscribers } from '../../platform/events';
import type { ConfirmedAction, DomainEvents, SessionEnd } from '../domain-events';
import type { AuditType } from './audit-event';
import type { Recorder, Row } from './recorder';

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

/** Of credentials, sign-ins and sessions. */
export const signInRows = ({ success, failure, record }: Recorder): Subscribers<DomainEvents> => ({
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
    // A row for each of both: the log of either names the other.
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
});

/** `reason` is the id of the passkey. */
const passkeyRow = (type: AuditType, event: DomainEvents['PasskeyRenamed']): Row => ({
  ...{ type, subject: event.userId, reason: event.passkey },
  ...(event.session && { session: event.session }),
});

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
