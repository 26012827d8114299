import { problems } from '../../../kernel/errors';
import { foldEmail } from '../../../kernel/fold';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { Cause } from '../../domain-events';
import type { Credentials, UsersPort } from '../users-port';

/**
 * Sets the password by a proof that its owner reads the mails of the address: that verifies the
 * address and ends every session. False: the account has another address or password than `owner`
 * by now.
 */
export type ResetByMailbox = (
  owner: Credentials,
  passwordHash: string,
  client: ClientInfo,
) => Promise<boolean>;

export interface MailboxResetDependencies {
  readonly users: Pick<UsersPort, 'credentialsById' | 'resetPassword' | 'endSessions'>;
  /** Sessions of a version below `before` add none afterwards. */
  readonly removeFactors: (userId: string, cause: Cause, before: number) => Promise<unknown>;
}

/** Each failure needs another end of all sessions in the same instant. */
const TRIES = 10;

export function createMailboxReset({
  users,
  removeFactors,
}: MailboxResetDependencies): ResetByMailbox {
  /**
   * The first proof of the address: factors and links of the account's opener are removed. The
   * removal comes first, so that no crash leaves a verified address with it, and outlasts the
   * sessions of now. The write ends those, or finds that others have begun.
   */
  async function attempt(
    { id, email, passwordHash, sessionVersion }: Credentials,
    hash: string,
    client: ClientInfo,
  ): Promise<boolean> {
    await removeFactors(id, { client }, sessionVersion + 1);
    return users.resetPassword(id, hash, { email, passwordHash, sessionVersion });
  }

  /** Again where others have begun. */
  async function takeOver(
    { id, email, passwordHash }: Credentials,
    hash: string,
    client: ClientInfo,
  ): Promise<boolean> {
    let isHalfDone = false;
    try {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const present = await users.credentialsById(id);
        const isSame =
          present?.passwordHash === passwordHash && foldEmail(present.email) === foldEmail(email);
        if (present === null || !isSame) return false;
        isHalfDone = true;
        isHalfDone = !(await attempt(present, hash, client));
        if (!isHalfDone) return true;
      }
    } finally {
      // The removal outlasts the sessions of now. Without the write nothing else would end them,
      // and nobody could add a factor.
      if (isHalfDone) await users.endSessions(id, {}).catch(() => undefined);
    }
    throw problems.contended();
  }

  return async (owner, hash, client) => {
    const { id, email, passwordHash, emailVerified, hadVerifiedEmail } = owner;
    if (!emailVerified && !hadVerifiedEmail) return takeOver(owner, hash, client);
    // Nobody but an owner has ever had the account. Neither a stolen mailbox nor another address,
    // which others may set, removes the factors: that needs `factors:reset`.
    return users.resetPassword(id, hash, { email, passwordHash });
  };
}
