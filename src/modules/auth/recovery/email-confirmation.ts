import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import { invalidMailToken } from '../problems';
import type { Credentials, UsersPort } from '../users-port';
import type { MailDelivery } from './mail-delivery';
import type { MailJobs } from './mail-jobs';
import { type Grant, type OneTimeTokens, PURPOSES } from './one-time-tokens';

/** Confirms the present e-mail address of an account, or a new one. */
export interface EmailConfirmation {
  /** Mails a token to the address of a new account. */
  welcome(userId: string, email: string, client: ClientInfo): void;
  /**
   * Mails a new token for the present address, unless it is confirmed. Throws 503 when too many
   * mails wait.
   */
  requestVerification(userId: string, client: ClientInfo): void;
  /**
   * Mails a token to a new address. The account changes when the token comes back with the
   * password. Does not reveal whether the address is free. Throws 503 when too many mails wait.
   */
  requestEmailChange(account: Credentials, email: string, client: ClientInfo): void;
  /** Confirms the address of a token of either kind. Throws 400 `invalid_mail_token`. */
  openConfirmation(token: string): Promise<Grant>;
  /**
   * `account`: as it was when its password was found right. Throws 400 `invalid_mail_token` and 409
   * `email_taken`; the token stays valid after a 409.
   */
  confirmEmail(grant: Grant, account: Credentials, client: ClientInfo): Promise<void>;
}

export interface EmailConfirmationDependencies {
  readonly users: UsersPort;
  readonly tokens: OneTimeTokens;
  readonly delivery: MailDelivery;
  readonly jobs: MailJobs;
  readonly emit: EmitEvent;
}

const verification = (userId: string, email: string): Grant => ({
  purpose: 'verify-email',
  userId,
  email,
  accountEmail: email,
});

export function createEmailConfirmation(deps: EmailConfirmationDependencies): EmailConfirmation {
  const { users, tokens, delivery, jobs, emit } = deps;
  return {
    welcome(userId, email, client) {
      // A full queue loses the mail, not the registration: the user can ask for another mail.
      jobs.tryEnqueue('verify-email', async () => {
        await delivery.sendToken(verification(userId, email), client);
      });
    },

    requestVerification(userId, client) {
      jobs.enqueue('verify-email', async () => {
        const user = await users.identity(userId);
        if (user !== null && !user.emailVerified)
          await delivery.sendToken(verification(userId, user.email), client);
      });
    },

    requestEmailChange({ id: userId, email: accountEmail, sessionVersion }, email, client) {
      emit('EmailChangeRequested', { userId, actor: userId, client });
      jobs.enqueue('change-email', async () => {
        const holder = await users.credentialsByEmail(email);
        if (holder !== null && (holder.id !== userId || email === accountEmail)) return;
        const grant = { userId, email, accountEmail, sessionVersion };
        await delivery.sendToken({ purpose: 'change-email', ...grant }, client);
      });
    },

    async openConfirmation(token) {
      const grant = await tokens.find(token, ['verify-email', 'change-email']);
      if (grant === undefined) throw invalidMailToken();
      return grant;
    },

    async confirmEmail(
      { purpose, userId, email, accountEmail, sessionVersion },
      { passwordHash },
      client,
    ) {
      const proof = { email: accountEmail, passwordHash, sessionVersion };
      if (!(await users.confirmEmail(userId, email, proof))) throw invalidMailToken();
      if (purpose === 'verify-email') {
        await jobs.revokeLinks(userId, ['verify-email']);
        emit('EmailVerified', { userId, client });
        return;
      }
      await jobs.revokeLinks(userId, PURPOSES);
      emit('EmailChanged', { userId, from: accountEmail, client });
    },
  };
}
