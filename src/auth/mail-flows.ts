import type { Counters } from '../data/counters';
import { problems } from '../errors';
import { foldEmail } from '../users/model';
import type { UserRepository } from '../users/repository';
import type { UserService } from '../users/service';
import type { Audit } from './audit';
import type { ClientInfo } from './client';
import { emailChangedMail, passwordChangedMail, TTL_SECONDS, tokenMail } from './mail-texts';
import type { Mailer } from './mailer';
import type { Grant, OneTimeTokens, Purpose } from './one-time-tokens';
import type { Outbox } from './outbox';
import type { Passwords } from './passwords';
import { invalidMailToken } from './problems';
import { digest } from './refresh-token';
import type { Sessions } from './sessions';
import type { Throttle } from './throttle';

/** Everything that goes through a mailbox. What is mailed is sent after the answer: its time tells nothing. */
export interface MailFlows {
  welcome(userId: string, email: string): void;
  passwordChanged(userId: string): void;
  /** Mails a new token to confirm the present address, unless it is confirmed. */
  requestVerification(userId: string): void;
  /** Whether or not there is such an account. Throws 503 when too many mails wait. */
  forgotPassword(email: string, client: ClientInfo): void;
  /** Throws 400 `invalid_mail_token`. Ends every session and lifts the lock of failed logins. */
  resetPassword(token: string, password: string, client: ClientInfo): Promise<void>;
  /**
   * The new address is taken over when its token comes back. Says nothing of whether it is free. `sessionVersion`: of the
   * account when its password was confirmed; whoever ends all sessions ends the request too.
   */
  requestEmailChange(account: { id: string; sessionVersion: number }, email: string, client: ClientInfo): void;
  /** The account has another address now: tells the one it had. */
  emailChanged(from: string): void;
  /** No token mailed so far is good any more. */
  forget(userId: string): Promise<void>;
  /** A token of either kind. Throws 400 `invalid_mail_token`, 409 `email_taken`. */
  confirmEmail(token: string, client: ClientInfo): Promise<void>;
}

export interface MailFlowsDependencies {
  readonly users: UserService;
  readonly repository: UserRepository;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly throttle: Throttle;
  readonly tokens: OneTimeTokens;
  readonly outbox: Outbox;
  readonly mailer: Mailer;
  readonly counters: Counters;
  readonly audit: Audit;
  readonly linkBase: string;
}

/** Mails of one purpose to one address within an hour: nobody's mailbox is to be flooded through us. */
const MAILS_PER_HOUR = 5;
const HOUR_MS = 3_600_000;

export function createMailFlows(deps: MailFlowsDependencies): MailFlows {
  const { users, repository, passwords, sessions, throttle, tokens, outbox, mailer, counters, audit, linkBase } = deps;

  async function mailToken(grant: Grant): Promise<void> {
    const { total } = await counters.add(`mail:${grant.purpose}:${digest(foldEmail(grant.email)).slice(0, 22)}`, 1, HOUR_MS);
    if (total > MAILS_PER_HOUR) return;
    const token = await tokens.issue(grant, TTL_SECONDS[grant.purpose]);
    await mailer.send(tokenMail(grant.email, grant.purpose, token, linkBase));
  }

  function enqueue(name: Purpose | 'notice', job: () => Promise<void>): void {
    if (!outbox.enqueue(name, job)) throw problems.unavailable('mail_queue_full', 'Too many mails are waiting at the moment.', 30);
  }

  function passwordChanged(userId: string): void {
    outbox.enqueue('notice', async () => {
      const user = await repository.find(userId);
      if (user !== null) await mailer.send(passwordChangedMail(user.email));
    });
  }

  function emailChanged(from: string): void {
    outbox.enqueue('notice', () => mailer.send(emailChangedMail(from)));
  }

  async function consume(token: string, purposes: readonly Purpose[]): Promise<Grant> {
    const grant = await tokens.consume(token, purposes);
    if (grant === undefined) throw invalidMailToken();
    return grant;
  }

  return {
    welcome(userId, email) {
      // Registered is registered: a full queue costs the mail, which can be asked for again.
      outbox.enqueue('verify-email', () => mailToken({ purpose: 'verify-email', userId, email }));
    },

    passwordChanged,

    requestVerification(userId) {
      enqueue('verify-email', async () => {
        const user = await repository.find(userId);
        if (user !== null && !(await repository.isEmailVerified(userId)))
          await mailToken({ purpose: 'verify-email', userId, email: user.email });
      });
    },

    forgotPassword(email, client) {
      enqueue('reset-password', async () => {
        const found = await repository.credentialsByEmail(email);
        const user = found?.status === 'active' ? await repository.find(found.id) : null;
        audit.record({ type: 'password_reset_requested', result: user === null ? 'failure' : 'success', subject: found?.id, client });
        // To the address as it is stored, never as it was typed.
        if (user !== null) await mailToken({ purpose: 'reset-password', userId: user._id.toHexString(), email: user.email });
      });
    },

    emailChanged,

    forget: (userId) => tokens.revokeAll(userId),

    async resetPassword(token, password, client) {
      // Looked at first, so that wrong tokens cost no hash; used up last, so that a refused hash costs no token.
      const offered = await tokens.peek(token, ['reset-password']);
      const owner = offered === undefined ? null : await repository.find(offered.userId);
      // Who reads an address that the account has left behind is no longer its owner.
      if (offered === undefined || owner === null || foldEmail(owner.email) !== foldEmail(offered.email)) throw invalidMailToken();
      const passwordHash = await passwords.hash(password);
      const { userId, email } = await consume(token, ['reset-password']);
      await users.setPassword(userId, passwordHash);
      await Promise.all([
        sessions.forget(userId),
        tokens.revokeAll(userId),
        throttle.unlock(foldEmail(email)),
        repository.markEmailVerified(userId, email),
      ]);
      audit.record({ type: 'password_reset', result: 'success', subject: userId, client });
      passwordChanged(userId);
    },

    requestEmailChange({ id: userId, sessionVersion }, email, client) {
      audit.record({ type: 'email_change_requested', result: 'success', actor: userId, subject: userId, client });
      enqueue('change-email', async () => {
        if ((await repository.credentialsByEmail(email)) === null)
          await mailToken({ purpose: 'change-email', userId, email, sessionVersion });
      });
    },

    async confirmEmail(token, client) {
      const { purpose, userId, email, sessionVersion = 0 } = await consume(token, ['verify-email', 'change-email']);
      if (purpose === 'verify-email') {
        if (!(await repository.markEmailVerified(userId, email))) throw invalidMailToken();
        audit.record({ type: 'email_verified', result: 'success', subject: userId, client });
        return;
      }
      const before = await repository.find(userId);
      if (before === null || !(await users.setEmail(userId, email, sessionVersion))) throw invalidMailToken();
      audit.record({ type: 'email_changed', result: 'success', subject: userId, client });
      emailChanged(before.email);
    },
  };
}
