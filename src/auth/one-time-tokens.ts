import { randomBytes } from 'node:crypto';
import type { Connection } from 'mongoose';
import { digest } from './refresh-token';

export const ONE_TIME_TOKENS_COLLECTION = 'one_time_tokens';

export type Purpose = 'verify-email' | 'change-email' | 'reset-password';

/** What a mailed token is good for, and for whom. */
export interface Grant {
  readonly purpose: Purpose;
  readonly userId: string;
  /** The address that it was mailed to: using it proves that its reader has that mailbox. */
  readonly email: string;
  /** Of `change-email`: the account's when its password was confirmed. */
  readonly sessionVersion?: number;
}

interface TokenRow extends Grant {
  /** SHA-256 of the token. */
  readonly _id: string;
  readonly until: Date;
}

/** Single-use, bound to one purpose, expiring. */
export interface OneTimeTokens {
  /** Makes a token; the older ones of the same user and purpose are no longer good. */
  issue(grant: Grant, ttlSeconds: number): Promise<string>;
  /** Looks without using it up. */
  peek(token: string, purposes: readonly Purpose[]): Promise<Grant | undefined>;
  /** Of many at once one gets the grant. */
  consume(token: string, purposes: readonly Purpose[]): Promise<Grant | undefined>;
  revokeAll(userId: string): Promise<void>;
}

export const oneTimeTokenIndexes = {
  collection: ONE_TIME_TOKENS_COLLECTION,
  indexes: [
    { key: { userId: 1, purpose: 1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

export function createOneTimeTokens(connection: Connection, options: { timeoutMs: number; now: () => number }): OneTimeTokens {
  const { timeoutMs, now } = options;
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<TokenRow>(ONE_TIME_TOKENS_COLLECTION);
  const good = (token: string, purposes: readonly Purpose[]) => ({
    _id: digest(token),
    purpose: { $in: [...purposes] },
    until: { $gt: new Date(now()) },
  });
  return {
    async issue(grant, ttlSeconds) {
      const token = randomBytes(32).toString('base64url');
      const { userId, purpose } = grant;
      await rows().deleteMany({ userId, purpose }, bounded);
      await rows().insertOne({ _id: digest(token), ...grant, until: new Date(now() + ttlSeconds * 1000) });
      return token;
    },
    peek: async (token, purposes) => (await rows().findOne(good(token, purposes), bounded)) ?? undefined,
    consume: async (token, purposes) => (await rows().findOneAndDelete(good(token, purposes), bounded)) ?? undefined,
    async revokeAll(userId) {
      await rows().deleteMany({ userId }, bounded);
    },
  };
}
