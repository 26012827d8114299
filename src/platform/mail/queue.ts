import { randomUUID } from 'node:crypto';
import type { Connection } from 'mongoose';
import { keyedDigest } from '../../kernel/crypto/digest';
import { decryptWithAny, encryptForAll, type Secrets } from '../../kernel/crypto/encryption';
import { foldEmail } from '../../kernel/fold';
import { afterNow, asLiterals, dueFilter } from '../mongo/expressions';
import { NO_TRACING, type Tracing } from '../telemetry/tracing';
import { MAIL_QUEUE_COLLECTION, type MailRow } from './mail-row';
import type { Mail } from './templates';

/** The recipient, the account and the kind of a mail: the limits count by these. */
export interface Envelope {
  readonly kind: string;
  /** The user's id. */
  readonly account: string;
  readonly to: string;
}

/** A mail as its recipient may know of it before it is sent. */
interface WaitingMail {
  readonly kind: string;
  readonly to: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** A mail that is leased to one sender. */
export interface LeasedMail {
  readonly id: string;
  readonly kind: string;
  /** How many times it was taken, this one included. */
  readonly attempts: number;
  readonly expired: boolean;
  readonly origin?: string | undefined;
  /** Throws DecryptionError when it was encrypted with another secret. */
  decrypt(): Mail;
  /** Call when it was sent or is given up. */
  remove(): Promise<void>;
  /** Makes it due again after a pause. */
  release(pauseMs: number): Promise<void>;
}

type Refusal = 'queue_full' | 'recipient_full';

/**
 * Mails that wait for the mail server, kept in MongoDB: they survive a worker, a host and hours
 * without a mail server. Any worker of any host sends any of them; a lease, by the database's
 * clock, keeps two workers from sending the same mail. Delivery is at least once: when a worker is
 * killed between sending a mail and removing it, the mail is sent again with the same Message-ID.
 */
export interface MailQueue {
  /** Calls `make` only when there is room, and resolves with the refusal when there is none. */
  add(
    envelope: Envelope,
    ttlSeconds: number,
    make: () => Promise<Mail>,
  ): Promise<Refusal | undefined>;
  take(leaseMs: number): Promise<LeasedMail | undefined>;
  /** Removes the waiting mails of these kinds of accounts, because their links were revoked. */
  cancel(account: string | readonly string[], kinds: readonly string[]): Promise<number>;
  /** The waiting mails of an account. Without the address where it cannot be decrypted. */
  ofAccount(account: string): Promise<readonly WaitingMail[]>;
  /** Removes every waiting mail of an account. */
  forget(account: string): Promise<void>;
  /** Counts over all hosts. */
  backlog(): Promise<{ readonly waiting: number; readonly oldestSeconds: number }>;
}

/** Mails to one address that may wait at a time. */
const PER_RECIPIENT_MAX = 20;
/** The hourly limits allow fewer. */
const OF_ACCOUNT_MAX = 1000;
const BACKLOG_COUNT_MAX = 100_000;

/** Keyed with the deployment's secret: trying all addresses does not reveal the address. */
export const recipientTag = (secret: string, address: string): string =>
  keyedDigest(secret, `mail recipient\n${foldEmail(address)}`, 22);

export interface MailQueueOptions {
  /** The current secret first, then previous ones that other hosts may still use. */
  readonly secrets: Secrets;
  /** Limit per kind, so that one kind cannot fill the queue for the others. */
  readonly maxPerKind: number;
  readonly timeoutMs: number;
  readonly tracing?: Tracing | undefined;
}

export function createMailQueue(
  connection: Connection,
  { secrets, maxPerKind, timeoutMs, tracing = NO_TRACING }: MailQueueOptions,
): MailQueue {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<MailRow>(MAIL_QUEUE_COLLECTION);
  const context = (id: string) => `mail ${id}`;

  const isFull = async (
    filter: { kind: string } | { recipient: string },
    hint: string,
    max: number,
  ) => (await rows().countDocuments(filter, { ...bounded, hint, limit: max })) >= max;

  async function insert(
    { kind, account }: Envelope,
    recipient: string,
    ttlSeconds: number,
    mail: Mail,
  ): Promise<void> {
    const id = randomUUID();
    const sealed = encryptForAll(secrets, context(id), Buffer.from(JSON.stringify(mail)));
    const times = { createdAt: '$$NOW', dueAt: '$$NOW', expiresAt: afterNow(ttlSeconds * 1000) };
    const origin = tracing.origin();
    const traced = origin === undefined ? {} : { origin };
    const fixed = { kind, account, recipient, sealed, attempts: 0, ...traced };
    // An update instead of an insert: only an update pipeline can use the database's time.
    await rows().updateOne({ _id: id }, [{ $set: { ...asLiterals(fixed), ...times } }], {
      ...bounded,
      upsert: true,
    });
  }

  function addressOf({ _id, sealed }: MailRow): string | null {
    try {
      return (JSON.parse(decryptWithAny(secrets, context(_id), sealed).toString()) as Mail).to;
    } catch {
      return null;
    }
  }

  function leased(row: MailRow & { readonly expired: boolean }): LeasedMail {
    const { _id: id, kind, attempts, expired, sealed, holder = '', origin } = row;
    const own = { _id: id, holder };
    return {
      ...{ id, kind, attempts, expired, origin },
      decrypt: () => JSON.parse(decryptWithAny(secrets, context(id), sealed).toString()) as Mail,
      async remove() {
        await rows().deleteOne(own, bounded);
      },
      async release(pauseMs) {
        // Due once more when it expires, so that a sender drops and counts it.
        await rows().updateOne(
          own,
          [
            { $set: { dueAt: { $min: [afterNow(pauseMs), '$expiresAt'] } } },
            { $unset: ['holder'] },
          ],
          bounded,
        );
      },
    };
  }

  return {
    async add(envelope, ttlSeconds, make) {
      const recipient = recipientTag(secrets[0], envelope.to);
      if (await isFull({ kind: envelope.kind }, 'by_kind', maxPerKind)) return 'queue_full';
      if (await isFull({ recipient }, 'by_recipient', PER_RECIPIENT_MAX)) return 'recipient_full';
      await insert(envelope, recipient, ttlSeconds, await make());
      return undefined;
    },
    async take(leaseMs) {
      const lease = {
        dueAt: afterNow(leaseMs),
        holder: randomUUID(),
        attempts: { $add: ['$attempts', 1] },
      };
      const row = await rows().findOneAndUpdate(
        dueFilter,
        [{ $set: { ...lease, expired: { $lte: ['$expiresAt', '$$NOW'] } } }],
        {
          ...bounded,
          sort: { dueAt: 1 },
          returnDocument: 'after',
          promoteBuffers: true,
        },
      );
      return row === null ? undefined : leased(row as unknown as MailRow & { expired: boolean });
    },
    async cancel(account, kinds) {
      const of = { account: typeof account === 'string' ? account : { $in: [...account] } };
      return (await rows().deleteMany({ ...of, kind: { $in: [...kinds] } }, bounded)).deletedCount;
    },
    async ofAccount(account) {
      const found = await rows()
        .find({ account }, { ...bounded, promoteBuffers: true, limit: OF_ACCOUNT_MAX })
        .toArray();
      return found.map((row) => {
        const { kind, createdAt, expiresAt } = row;
        return { kind, to: addressOf(row), createdAt, expiresAt };
      });
    },
    async forget(account) {
      await rows().deleteMany({ account }, bounded);
    },
    async backlog() {
      const age = { $dateDiff: { startDate: '$createdAt', endDate: '$$NOW', unit: 'second' } };
      const [waiting, [oldest]] = await Promise.all([
        rows().countDocuments({}, { ...bounded, hint: 'by_age', limit: BACKLOG_COUNT_MAX }),
        rows()
          .aggregate<{ age: number }>(
            [{ $sort: { createdAt: 1 } }, { $limit: 1 }, { $project: { age } }],
            bounded,
          )
          .toArray(),
      ]);
      return { waiting, oldestSeconds: Math.max(0, oldest?.age ?? 0) };
    },
  };
}
