import { foldEmail } from '../../../kernel/fold';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { Cause, EmitEvent } from '../../domain-events';
import { hasPassword } from '../passwords/no-password';
import type { Passwords } from '../passwords/passwords';
import { invalidMailToken, passwordExists, refuseIdentity } from '../problems';
import type { Credentials, UsersPort } from '../users-port';
import type { MailDelivery } from './mail-delivery';
import type { MailJobs } from './mail-jobs';
import type { ResetByMailbox } from './mailbox-reset';
import { type OneTimeTokens, PURPOSES } from './one-time-tokens';

/** Accounts that were opened without a password: their owners set one by a mailed link. */
export interface Invitations {
  /**
   * Mails a token to the account, which revokes an older one. Throws 409 `password_exists` and
   * what `MailDelivery.assertSent` throws.
   */
  invite(account: Credentials, cause: Cause): Promise<void>;
  /** The same after the answer. A full queue loses the mail: another can be sent. */
  inviteLater(userId: string, cause: Cause): void;
  /**
   * Sets the first password and verifies the address. Throws 400 `invalid_mail_token`, also where
   * the account has a password, is banned, or has another address than the invited one.
   */
  acceptInvitation(token: string, password: string, client: ClientInfo): Promise<void>;
}

export interface InvitationsDependencies {
  readonly users: UsersPort;
  readonly passwords: Passwords;
  readonly tokens: OneTimeTokens;
  readonly delivery: MailDelivery;
  readonly jobs: MailJobs;
  readonly resetByMailbox: ResetByMailbox;
  readonly emit: EmitEvent;
}

export function createInvitations(deps: InvitationsDependencies): Invitations {
  const { users, passwords, tokens, delivery, jobs, emit } = deps;

  async function invite({ id, email, passwordHash }: Credentials, cause: Cause): Promise<void> {
    if (hasPassword(passwordHash)) throw passwordExists();
    const grant = { purpose: 'invitation', userId: id, email, accountEmail: email } as const;
    delivery.assertSent(await delivery.sendToken(grant, 'administration'));
    emit('InvitationSent', { userId: id, ...cause });
  }

  /** The account of an invitation, if it is as it was invited. */
  async function openInvitation(token: string): Promise<Credentials> {
    const grant = await tokens.find(token, ['invitation']);
    const owner = grant === undefined ? null : await users.credentialsById(grant.userId);
    const isValid =
      owner?.status === 'active' &&
      foldEmail(owner.email) === foldEmail(grant?.accountEmail ?? '') &&
      !hasPassword(owner.passwordHash);
    if (!isValid) throw invalidMailToken();
    return owner;
  }

  return {
    invite,

    inviteLater(userId, cause) {
      jobs.tryEnqueue('invitation', async () => {
        const account = await users.credentialsById(userId);
        if (account !== null) await invite(account, cause);
      });
    },

    async acceptInvitation(token, password, client) {
      const owner = await openInvitation(token);
      const { id, emailVerified } = owner;
      refuseIdentity(password, await users.identity(id), '/password');
      // The write checks again: of two concurrent uses of a token, one sets the password.
      const hash = await passwords.hashNew(password, '/password');
      if (!(await deps.resetByMailbox(owner, hash, client))) throw invalidMailToken();
      await jobs.revokeLinks(id, PURPOSES);
      emit('InvitationAccepted', { userId: id, client });
      if (!emailVerified) emit('EmailVerified', { userId: id, client });
    },
  };
}
