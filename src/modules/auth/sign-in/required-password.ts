import { sha256 } from '../../../kernel/crypto/digest';
import type { Problem } from '../../../kernel/errors';
import { foldEmail } from '../../../kernel/fold';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { Passwords } from '../passwords/passwords';
import {
  invalidPasswordChangeToken,
  passwordChangeRequired,
  refuseIdentity,
  samePassword,
} from '../problems';
import type { MailFlows } from '../recovery/mail-flows';
import { type OneTimeTokens, REQUIRED_PASSWORD } from '../recovery/one-time-tokens';
import type { KnownDevices } from '../sessions/known-devices';
import type { Sessions } from '../sessions/sessions';
import type { Credentials, UsersPort } from '../users-port';
import type { CompleteSignIn, SignInResult } from './complete-sign-in';

export interface RequiredPassword {
  /**
   * Replaces the password by the token of `password_change_required`, and signs in. Throws 400
   * `invalid_password_change_token` and 422 `password_unchanged`.
   */
  replaceRequiredPassword(
    token: string,
    password: string,
    client: ClientInfo,
  ): Promise<SignInResult>;
}

export interface RequiredPasswordDependencies {
  readonly users: UsersPort;
  readonly passwords: Passwords;
  readonly sessions: Pick<Sessions, 'forget'>;
  readonly devices: Pick<KnownDevices, 'forget' | 'knownUntil'>;
  readonly mails: Pick<MailFlows, 'revokeLinks'>;
  readonly tokens: OneTimeTokens;
  readonly emit: EmitEvent;
  readonly completeSignIn: CompleteSignIn;
}

/** Time to think of a password. */
const TTL_SECONDS = 600;

/** The answer to a sign-in that gets no session yet. */
export const createPasswordDemand =
  ({ tokens, emit }: Pick<RequiredPasswordDependencies, 'tokens' | 'emit'>) =>
  async (account: Credentials, client: ClientInfo): Promise<Problem> => {
    const { id: userId, email, sessionVersion, passwordHash } = account;
    const token = await tokens.issue(
      {
        purpose: REQUIRED_PASSWORD,
        ...{ userId, email, accountEmail: email, sessionVersion },
        replaces: sha256(passwordHash),
      },
      TTL_SECONDS,
    );
    emit('LoginFailed', { userId, reason: 'password_change_required', client });
    return passwordChangeRequired(token, TTL_SECONDS);
  };

export function createRequiredPassword(deps: RequiredPasswordDependencies): RequiredPassword {
  const { users, passwords, sessions, devices, mails, tokens, emit, completeSignIn } = deps;

  /** The account of a token, if its password, address and sessions are those of the login. */
  async function ownerOf(token: string): Promise<Credentials> {
    const grant = await tokens.find(token, [REQUIRED_PASSWORD]);
    const owner = grant === undefined ? null : await users.credentialsById(grant.userId);
    const isValid =
      owner?.status === 'active' &&
      owner.mustChangePassword &&
      foldEmail(owner.email) === foldEmail(grant?.accountEmail ?? '') &&
      owner.sessionVersion === grant?.sessionVersion &&
      sha256(owner.passwordHash) === grant?.replaces;
    if (!isValid) throw invalidPasswordChangeToken();
    return owner;
  }

  return {
    async replaceRequiredPassword(token, password, client) {
      const owner = await ownerOf(token);
      const { id, email, passwordHash, sessionVersion } = owner;
      refuseIdentity(password, await users.identity(id));
      if (await passwords.verify(password, passwordHash)) throw samePassword();
      const proof = { email, passwordHash, sessionVersion };
      // Of the old password: the device from which it is replaced stays known.
      const knownUntil = await devices.knownUntil(owner, client);
      // The write checks again: of several uses at once, one finds the old password.
      const user = await users.replacePassword(
        id,
        await passwords.hashNew(password, '/new_password'),
        proof,
      );
      if (user === null) throw invalidPasswordChangeToken();
      await Promise.all([
        sessions.forget(id),
        devices.forget(id, { client, version: user.sessionVersion }),
        mails.revokeLinks(id, ['reset-password', 'change-email']),
        tokens.revoke(id, [REQUIRED_PASSWORD]),
      ]);
      emit('PasswordChanged', { userId: id, how: 'required', actor: id, client });
      return completeSignIn(user, { amr: ['pwd'], client, knownUntil });
    },
  };
}
