import type { Emit } from '../platform/events';
import type { ClientInfo } from '../platform/http/client-info';

/** The sender of the request, or of the command, that caused an event. */
export interface Cause {
  /**
   * Id of the user or service account, or `cli:NAME`. Absent: unknown, or the user of the event.
   */
  readonly actor?: string | undefined;
  readonly client: ClientInfo;
  /** The import that did it: it cleans up for many users at once, and mails nobody. */
  readonly job?: string;
}

/** A cause whose actor is known. */
export interface ActorCause extends Cause {
  readonly actor: string;
}

/** An event of one user. */
interface OfUser extends Cause {
  readonly userId: string;
}

/** An event of one passkey of a user. */
interface OfPasskey extends OfUser {
  readonly passkey: string;
  readonly session?: string;
}

/** An event of one service account. */
interface OfServiceAccount extends Cause {
  readonly accountId: string;
}

/** The actions before which a password is asked for again. */
export type ConfirmedAction =
  | 'password_change'
  | 'email_change_request'
  | 'email_verification'
  | 'email_change';

/**
 * The events between modules. Services emit an event after its write has been committed; the
 * audit log, the notices by mail and the clean-up of accounts subscribe.
 */
export interface DomainEvents {
  /** Without an actor, the user has registered. */
  readonly UserCreated: OfUser & { readonly email: string; readonly emailVerified?: boolean };
  readonly RoleChanged: OfUser & { readonly role: string };
  readonly StatusChanged: OfUser & {
    readonly status: 'active' | 'banned';
    /** Of a ban: when it ends by itself, and why it is. */
    readonly until?: Date | undefined;
    readonly reason?: string | undefined;
    /** The ban has ended by itself. */
    readonly isOver?: boolean;
  };
  /** The next login asks for a new password. */
  readonly PasswordChangeRequired: OfUser & { readonly endsSessions: boolean };
  /** `from`: the former address; undefined for an import. */
  readonly EmailChanged: OfUser & { readonly from: string | undefined };
  readonly EmailVerified: OfUser;
  /**
   * Metadata that others rely on, or that another one wrote, as the name: the names of the members.
   * Another one is also an administrator who acts as the user.
   */
  readonly MetadataChanged: OfUser & { readonly members: readonly string[] };
  readonly UserRemoved: OfUser;
  /**
   * A change of the user, of its sessions too, may have been made: the answer of the database came
   * too late or not at all, and the caller was told 503 `write_unconfirmed`. No other event
   * follows.
   */
  readonly ChangeUnconfirmed: OfUser;
  /** The user has asked for all that is kept about it. */
  readonly PersonalDataExported: OfUser;

  /** The file has arrived. The job emits events of single users where their security changes. */
  readonly UsersImportRequested: Cause & { readonly jobId: string; readonly dryRun: boolean };
  /** The job was asked to stop, or has ended by it where it had not begun. */
  readonly JobCancelled: Cause & { readonly jobId: string };
  /** The report has begun: the records that a job did not take, with their passwords. */
  readonly JobReportRead: Cause & { readonly jobId: string };
  /** The job has ended, in this state. The actor of one that was cancelled has cancelled it. */
  readonly UsersImported: Cause & { readonly jobId: string; readonly state: string };
  /** The export has begun. */
  readonly UsersExported: Cause & { readonly format: string };

  readonly LoginSucceeded: OfUser;
  /** A login from a device that is not known, of an account that has others. */
  readonly NewDeviceUsed: OfUser;
  /** The first step of a sign-in was right: a factor is asked. */
  readonly FactorRequested: OfUser;
  /** `kind`: of the factor that was offered. */
  readonly FactorFailed: OfUser & { readonly kind: string; readonly reason: string };
  readonly SteppedUp: OfUser & { readonly kind: string; readonly session: string };
  readonly FactorAdded: OfUser & { readonly kind: string; readonly session?: string | undefined };
  /** `kind`: of one factor, or `all`. */
  readonly FactorRemoved: OfUser & { readonly kind: string; readonly session?: string | undefined };
  readonly RecoveryCodesReplaced: OfUser & { readonly session?: string | undefined };
  readonly RecoveryCodeUsed: OfUser & { readonly remaining: number };
  /**
   * A refresh token that is right came without its key, or from elsewhere than its session keeps
   * it: it may be stolen. At most once an hour for a session.
   */
  readonly RefreshRefused: OfUser & { readonly session: string; readonly reason: string };
  readonly LoginFailed: Cause & { readonly userId: string | undefined; readonly reason: string };
  /**
   * `how`: by the user, by a mailed token, by an administrator, or at a login that asked for it.
   */
  readonly PasswordChanged: OfUser & {
    readonly how: 'change' | 'reset' | 'administration' | 'required';
    readonly session?: string;
  };
  /** The password that was asked for again was wrong, or could not be checked. */
  readonly ConfirmationFailed: OfUser & {
    readonly action: ConfirmedAction;
    readonly reason: string;
    readonly session?: string;
  };
  /**
   * `userId` is undefined for an address without a usable account. With an actor: an administrator
   * sent the mail.
   */
  readonly PasswordResetRequested: Cause & {
    readonly userId: string | undefined;
    readonly isUsable: boolean;
  };
  /** `userId` is undefined for an address without an account. */
  readonly EmailSignInRequested: Cause & {
    readonly userId: string | undefined;
    readonly isUsable: boolean;
  };
  readonly EmailChangeRequested: OfUser;
  /** A link to set the first password was mailed. */
  readonly InvitationSent: OfUser;
  readonly InvitationAccepted: OfUser;
  /** An identity at a provider signs in to the account, or no longer does. */
  readonly IdentityLinked: OfUser & { readonly provider: string; readonly session: string };
  /** `provider` is empty where the code was not that of the session. */
  readonly IdentityLinkRefused: OfUser & {
    readonly provider: string;
    readonly session: string;
    readonly reason: string;
  };
  readonly IdentityUnlinked: OfUser & { readonly provider: string; readonly session: string };
  /** `session`: the one that ended, or the one that ended others by a logout. Absent: all. */
  readonly SessionsEnded: OfUser & { readonly session?: string; readonly by: SessionEnd };
  /** The actor got a token that acts as the user. `tokenId`: its `jti`; `session`: its `sid`. */
  readonly ImpersonationStarted: OfUser & {
    readonly tokenId: string;
    readonly session: string;
    readonly reason: string | undefined;
  };
  readonly ImpersonationRefused: Cause & {
    readonly userId: string | undefined;
    readonly reason: string;
  };
  readonly PasskeyRenamed: OfPasskey;
  /** Its signature counter did not grow: it may have been copied. */
  readonly PasskeyCounterStalled: OfPasskey;
  /** Failed logins of the account no longer count. */
  readonly AccountUnlocked: OfUser;

  readonly WebhookChanged: Cause & {
    readonly webhookId: string;
    readonly how: 'created' | 'changed' | 'removed';
  };
  /** The service sends nothing there any more. `userId`: its creator; `host`: of its address. */
  readonly WebhookDisabled: OfUser & {
    readonly webhookId: string;
    readonly host: string;
    readonly reason: string;
  };
  readonly ServiceAccountCreated: OfServiceAccount;
  readonly ServiceAccountRevoked: OfServiceAccount;
  readonly ClientTokenIssued: OfServiceAccount;
  readonly ClientTokenRefused: OfServiceAccount & { readonly reason: string };
  readonly ClientTokenRevoked: OfServiceAccount;
  readonly ClientAuthenticationFailed: Cause & {
    readonly accountId: string | undefined;
    readonly reason: string;
  };
  /** `reason`: the schedule, or the kind of rotation that was asked for. */
  readonly SigningKeyRotated: Cause & { readonly reason: string };
}

export type SessionEnd =
  | { readonly kind: 'logout'; readonly scope: 'local' | 'others' | 'global' }
  /** One of the user's own sessions. */
  | { readonly kind: 'user' }
  | { readonly kind: 'too_many_sessions' }
  /** By another one with the permission `sessions:end`. */
  | { readonly kind: 'administration'; readonly scope: 'one' | 'all' }
  /** RFC 7009. */
  | { readonly kind: 'revocation' }
  /** A refresh token was used a second time. */
  | { readonly kind: 'refresh_token_reuse' };

export type EmitEvent = Emit<DomainEvents>;

/** Emits the first event only. For one background job, which runs again where it fails. */
export function emitOnce(emit: EmitEvent): EmitEvent {
  let isEmitted = false;
  return (name, event) => {
    if (isEmitted) return;
    isEmitted = true;
    emit(name, event);
  };
}
