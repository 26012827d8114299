import type { ClientInfo } from '../../../platform/http/client-info';
import type { ConfirmedAction, DomainEvents, EmitEvent } from '../../domain-events';
import type { LoginGuard } from '../login-guard';
import { refuseIdentity, samePassword, wrongPassword } from '../problems';
import type { MailFlows } from '../recovery/mail-flows';
import { reportingFailure } from '../refusals';
import type { CurrentSession } from '../sessions/end-sessions';
import type { KnownDevices } from '../sessions/known-devices';
import type { Sessions } from '../sessions/sessions';
import type { DeliveredPair } from '../sessions/token-pair';
import type { Credentials, UsersPort } from '../users-port';
import { normalizePassword } from './password-rules';
import type { Passwords } from './passwords';

export interface PasswordCommands {
  /**
   * The account whose password this is. `action`: the action that it confirms. Throws 422
   * `wrong_password` and 429.
   */
  confirmPassword(
    account: ConfirmingAccount,
    password: string,
    action: ConfirmedAction,
    client: ClientInfo,
  ): Promise<Credentials>;
  /**
   * Ends every other session and revokes the refresh tokens of this one. Resolves with a new pair
   * for it.
   */
  changePassword(
    current: CurrentSession,
    passwords: { current: string; next: string },
    client: ClientInfo,
  ): Promise<DeliveredPair>;
}

export interface PasswordCommandsDependencies {
  readonly users: UsersPort;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly loginGuard: LoginGuard;
  readonly devices: KnownDevices;
  readonly mails: MailFlows;
  readonly emit: EmitEvent;
}

/** The account, and its session where the request has one. */
type ConfirmingAccount = Pick<CurrentSession, 'userId'> & Partial<CurrentSession>;

export function createPasswordCommands(deps: PasswordCommandsDependencies): PasswordCommands {
  const { users, passwords, sessions, loginGuard, devices, mails, emit } = deps;

  const reporting = <T>(
    event: Omit<DomainEvents['ConfirmationFailed'], 'reason'>,
    work: () => Promise<T>,
  ): Promise<T> =>
    reportingFailure((reason) => emit('ConfirmationFailed', { ...event, reason }), work);

  /** Under the limits of logins: a stolen access token must not be a way around them. */
  async function confirm(
    { userId }: ConfirmingAccount,
    password: string,
    client: ClientInfo,
  ): Promise<Credentials> {
    await loginGuard.enter(client);
    const found = await users.credentialsById(userId);
    const passwordHash = found?.passwordHash;
    const { isRight, refusal } = await loginGuard.guard(
      { by: 'confirm', account: userId, passwordHash, client },
      (turn) => passwords.verify(password, passwordHash, turn),
    );
    if (refusal !== undefined || !isRight || found === null) throw refusal ?? wrongPassword();
    return found;
  }

  async function replacePassword(
    current: CurrentSession,
    offered: string,
    next: string,
    client: ClientInfo,
  ): Promise<void> {
    const { userId, sid, ver } = current;
    const { passwordHash: from } = await confirm(current, offered, client);
    if (normalizePassword(next) === normalizePassword(offered)) throw samePassword();
    refuseIdentity(next, await users.identity(userId));
    // The write compares again: it must not undo a reset that came in between, nor keep a session
    // that the reset ended.
    if (
      !(await users.changePassword(userId, from, await passwords.hashNew(next, '/new_password'), {
        sid,
        ver,
      }))
    )
      throw wrongPassword();
  }

  /** That of the session stays known, unless something has ended the session meanwhile. */
  async function forgetOtherDevices({ userId, sid }: CurrentSession, client: ClientInfo) {
    const account = await users.get(userId);
    const stays = account?.kept?.sid === sid;
    await devices.forget(userId, stays ? { client, version: account.sessionVersion } : undefined);
  }

  return {
    confirmPassword(account, password, action, client) {
      const { userId, sid } = account;
      // Without a session the actor is unknown: a mailed token alone identifies nobody.
      const actor = sid === undefined ? {} : { actor: userId, session: sid };
      const event = { action, userId, client, ...actor };
      return reporting(event, () => confirm(account, password, client));
    },

    async changePassword(current, { current: offered, next }, client) {
      const { userId, sid: session } = current;
      const by = { userId, actor: userId, session, client };
      await reporting({ action: 'password_change', ...by }, () =>
        replacePassword(current, offered, next, client),
      );
      await Promise.all([
        sessions.forget(userId, session),
        forgetOtherDevices(current, client),
        mails.revokeLinks(userId, ['reset-password', 'change-email']),
      ]);
      emit('PasswordChanged', { how: 'change', ...by });
      return sessions.renew(current);
    },
  };
}
