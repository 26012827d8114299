import { sha256 } from '../../../kernel/crypto/digest';
import { foldEmail } from '../../../kernel/fold';
import type { Counters } from '../../../platform/counters/counters';
import type { ClientInfo } from '../../../platform/http/client-info';
import { type Cause, type EmitEvent, emitOnce } from '../../domain-events';
import { liftMailedCodeLocks } from '../login-locks';
import { hasPassword } from '../passwords/no-password';
import type { Passwords } from '../passwords/passwords';
import { invalidMailToken, noPassword, refuseIdentity, samePassword } from '../problems';
import type { KnownDevices } from '../sessions/known-devices';
import type { Sessions } from '../sessions/sessions';
import type { Credentials, UsersPort } from '../users-port';
import { requesterOf } from './mail-budget';
import type { MailDelivery } from './mail-delivery';
import type { MailJobs } from './mail-jobs';
import type { ResetByMailbox } from './mailbox-reset';
import { type Grant, type OneTimeTokens, PURPOSES } from './one-time-tokens';

export interface PasswordReset {
  /**
   * Mails a token to the account of the address, if there is one. The answer is the same without
   * one. Throws 503 when too many mails wait.
   */
  forgotPassword(email: string, client: ClientInfo): void;
  /**
   * Mails a token to the account for an administrator. Throws 409 `no_password` and the errors that
   * `MailDelivery.assertSent` throws.
   */
  sendReset(account: Credentials, cause: Cause): Promise<void>;
  /**
   * Ends every session, confirms the address and lifts the locks of wrong passwords and mailed
   * codes. Where the address was unverified, second factors and passkeys are removed. Throws 400
   * `invalid_mail_token` and 422 `password_unchanged`.
   */
  resetPassword(token: string, password: string, client: ClientInfo): Promise<void>;
}

export interface PasswordResetDependencies {
  readonly users: UsersPort;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly devices: KnownDevices;
  readonly tokens: OneTimeTokens;
  readonly delivery: MailDelivery;
  readonly jobs: MailJobs;
  readonly counters: Counters;
  readonly resetByMailbox: ResetByMailbox;
  readonly emit: EmitEvent;
}

/**
 * With a reset token one can test whether a password is the present one. After this many such
 * answers the token is revoked.
 */
const SAME_PASSWORDS = 5;
const HOUR_MS = 3_600_000;

const resetOf = ({ id, email, passwordHash }: Credentials): Grant => ({
  purpose: 'reset-password',
  userId: id,
  email,
  accountEmail: email,
  replaces: sha256(passwordHash),
});

export function createPasswordReset(deps: PasswordResetDependencies): PasswordReset {
  const { users, passwords, sessions, devices, tokens, delivery } = deps;
  const { jobs, counters, emit } = deps;

  /** The account of a reset token, if its address and password are those of the request. */
  async function openReset(token: string): Promise<Credentials> {
    const grant = await tokens.find(token, ['reset-password']);
    const owner = grant === undefined ? null : await users.credentialsById(grant.userId);
    // The reader of an address that the account has left is no longer its owner.
    const isValid =
      owner?.status === 'active' &&
      foldEmail(owner.email) === foldEmail(grant?.accountEmail ?? '') &&
      sha256(owner.passwordHash) === grant?.replaces;
    if (!isValid) throw invalidMailToken();
    return owner;
  }

  async function refuseSamePassword(
    token: string,
    password: string,
    { id, passwordHash }: Credentials,
  ): Promise<void> {
    if (!(await passwords.verify(password, passwordHash))) return;
    const { total } = await counters.add(`mail:same:${sha256(token).slice(0, 22)}`, 1, HOUR_MS);
    if (total > SAME_PASSWORDS) {
      await jobs.revokeLinks(id, ['reset-password']);
      throw invalidMailToken();
    }
    throw samePassword();
  }

  function mailingResetToken(email: string, client: ClientInfo): () => Promise<void> {
    const tell = emitOnce(emit);
    return async () => {
      const found = await users.credentialsByEmail(email);
      const isUsable = found?.status === 'active';
      tell('PasswordResetRequested', { userId: found?.id, isUsable, client });
      // To the stored address, never to the one that was typed.
      if (!isUsable) return;
      await delivery.sendToken(resetOf(found), await requesterOf(devices, found, client));
    };
  }

  /** All devices: an intruder who knew the old password may be one of them. */
  async function forgetDevices(id: string): Promise<void> {
    const keys = await devices.keysOf(id);
    await devices.forget(id);
    // The password is set: a failure here must not hide it. The counts end by themselves.
    await liftMailedCodeLocks(counters, { id, devices: keys }).catch(() => undefined);
  }

  return {
    forgotPassword(email, client) {
      jobs.enqueue('reset-password', mailingResetToken(email, client));
    },

    async sendReset(account, cause) {
      // Its first one is set by an invitation, in which nothing speaks of a former one.
      if (!hasPassword(account.passwordHash)) throw noPassword();
      delivery.assertSent(await delivery.sendToken(resetOf(account), 'administration'));
      emit('PasswordResetRequested', { userId: account.id, isUsable: true, ...cause });
    },

    async resetPassword(token, password, client) {
      const owner = await openReset(token);
      refuseIdentity(password, await users.identity(owner.id));
      await refuseSamePassword(token, password, owner);
      const { id, emailVerified } = owner;
      // The write checks again: the account may have another address or password by now.
      const hash = await passwords.hashNew(password, '/new_password');
      if (!(await deps.resetByMailbox(owner, hash, client))) throw invalidMailToken();
      await Promise.all([sessions.forget(id), jobs.revokeLinks(id, PURPOSES), forgetDevices(id)]);
      emit('PasswordChanged', { userId: id, how: 'reset', client });
      if (!emailVerified) emit('EmailVerified', { userId: id, client });
    },
  };
}
