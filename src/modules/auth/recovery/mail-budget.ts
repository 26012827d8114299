import { keyedDigest } from '../../../kernel/crypto/digest';
import { type Counters, counterWindow } from '../../../platform/counters/counters';
import type { ClientInfo } from '../../../platform/http/client-info';
import { networksAround } from '../../../platform/http/client-networks';
import { type Envelope, recipientTag } from '../../../platform/mail/queue';
import type { Logger } from '../../../platform/telemetry/logger';
import type { KnownDevices } from '../sessions/known-devices';
import type { Credentials } from '../users-port';

/**
 * By whom a mail is caused: a client that anybody may have, a known device of the account, an
 * administrator, or this service, which notifies. Each has limits of its own: strangers who ask for
 * mails to an account keep neither its owner nor an administrator from having one sent.
 */
export type Requester =
  | Pick<ClientInfo, 'network'>
  | 'known_device'
  | 'administration'
  | 'notification';

export const requesterOf = async (
  devices: Pick<KnownDevices, 'knownUntil'>,
  account: Credentials,
  client: ClientInfo,
): Promise<Requester> =>
  (await devices.knownUntil(account, client)) === undefined ? client : 'known_device';

const HOUR_MS = 3_600_000;
/**
 * Mails of one kind within an hour: nobody can use the service to flood a mailbox, and no account
 * can mail many strangers.
 */
const PER_RECIPIENT = 5;
const PER_ACCOUNT = 10;
/** Asked for by strangers: of all networks, each of which may ask for PER_RECIPIENT. */
const PER_RECIPIENT_OF_ALL = 10;

export interface MailBudgetDependencies {
  readonly counters: Counters;
  readonly log: Logger;
  readonly secret: string;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

export interface MailBudget {
  /**
   * Runs `work` where the hourly limits allow one more mail. A mail that could not be queued does
   * not count: its job is run again. Resolves with undefined, and nothing done, beyond them.
   */
  within<T>(
    envelope: Envelope,
    by: Requester,
    work: () => Promise<T>,
  ): Promise<{ readonly result: T } | undefined>;
  /** Until the next hour of the limits. */
  secondsLeft(): number;
}

export function createMailBudget({
  counters,
  log,
  secret,
  now,
}: MailBudgetDependencies): MailBudget {
  const digest = (kind: string, text: string) => keyedDigest(secret, `mail ${kind}\n${text}`, 22);

  /** The narrow ones first: a mail that they refuse does not count in the others. */
  function limitsOf({ kind, account, to }: Envelope, by: Requester): [string, number][] {
    const isStranger = typeof by === 'object';
    const name = isStranger || by === 'notification' ? `mail:${kind}` : `mail:${by}:${kind}`;
    const recipient = `${name}:to:${recipientTag(secret, to)}`;
    const ofAccount: [string, number] = [`${name}:by:${digest('account', account)}`, PER_ACCOUNT];
    if (!isStranger) return [[recipient, PER_RECIPIENT], ofAccount];
    const ofNetwork = `${recipient}:${digest('network', networksAround(by.network).site)}`;
    return [[ofNetwork, PER_RECIPIENT], [recipient, PER_RECIPIENT_OF_ALL], ofAccount];
  }

  return {
    async within({ kind, account, to }, by, work) {
      const counted: string[] = [];
      try {
        for (const [key, limit] of limitsOf({ kind, account, to }, by)) {
          const { total } = await counters.add(key, 1, HOUR_MS);
          counted.push(key);
          if (total > limit) {
            log.warn({ kind, limit }, 'mail not sent, hourly limit of the mailbox or the account');
            return undefined;
          }
        }
        return { result: await work() };
      } catch (error) {
        await Promise.allSettled(counted.map((key) => counters.add(key, -1, HOUR_MS)));
        throw error;
      }
    },
    secondsLeft: () => (counterWindow(HOUR_MS, now()).endMs - now()) / 1000,
  };
}
