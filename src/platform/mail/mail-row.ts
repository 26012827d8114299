import type { Encrypted } from '../../kernel/crypto/encryption';

export const MAIL_QUEUE_COLLECTION = 'mail_queue';

/** A waiting mail in MongoDB. */
export interface MailRow {
  readonly _id: string;
  readonly kind: string;
  readonly account: string;
  /** Identifies the address without revealing it (`recipientTag`). */
  readonly recipient: string;
  /** The mail with its address and link, encrypted. */
  readonly sealed: Encrypted;
  readonly attempts: number;
  readonly createdAt: Date;
  /** Any sender may take it from then on: the end of a pause between attempts, or of a lease. */
  readonly dueAt: Date;
  /** It is dropped from then on: its link has expired, or it was retried for long enough. */
  readonly expiresAt: Date;
  readonly holder?: string;
  /** `traceparent` of the request that asked for it, where that was traced. */
  readonly origin?: string;
}

export const mailQueueIndexes = {
  collection: MAIL_QUEUE_COLLECTION,
  indexes: [
    { key: { dueAt: 1 }, name: 'by_due' },
    { key: { createdAt: 1 }, name: 'by_age' },
    { key: { kind: 1 }, name: 'by_kind' },
    { key: { recipient: 1 }, name: 'by_recipient' },
    { key: { account: 1, kind: 1 }, name: 'by_account' },
    // Senders drop and count expired mails. This index serves a deployment without a sender.
    { key: { expiresAt: 1 }, name: 'expiry', expireAfterSeconds: 86_400 },
  ],
} as const;
