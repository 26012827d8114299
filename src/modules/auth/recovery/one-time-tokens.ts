import type { Connection } from 'mongoose';
import { sha256 } from '../../../kernel/crypto/digest';
import { randomToken } from '../../../kernel/crypto/random';
import { afterNow, asLiterals, unexpired } from '../../../platform/mongo/expressions';

export const ONE_TIME_TOKENS_COLLECTION = 'one_time_tokens';

export const PURPOSES = ['verify-email', 'change-email', 'reset-password', 'invitation'] as const;
/** Of a mailed token. */
export type Purpose = (typeof PURPOSES)[number];
/** Of the token that a login answers with when the password must be replaced. */
export const REQUIRED_PASSWORD = 'required-password';
type TokenPurpose = Purpose | typeof REQUIRED_PASSWORD;

/** The purpose of a token, and its user. */
export interface Grant<P extends TokenPurpose = Purpose> {
  readonly purpose: P;
  readonly userId: string;
  /** The address that it was mailed to. Using the token proves access to that mailbox. */
  readonly email: string;
  /** The account's address at the request. The token is invalid once the account has another. */
  readonly accountEmail: string;
  /**
   * Of `change-email` and `required-password`: the account's session version when its password was
   * found right.
   */
  readonly sessionVersion?: number;
  /** Of `reset-password` and `required-password`: SHA-256 of the password hash at the request. */
  readonly replaces?: string;
}

interface IssuedToken extends Pick<Grant<TokenPurpose>, 'purpose' | 'email'> {
  readonly until: Date;
}

interface TokenRow<P extends TokenPurpose> extends Grant<P> {
  /** SHA-256 of the token. */
  readonly _id: string;
  readonly until: Date;
}

/**
 * Expiring tokens, each bound to one purpose and to the state of the account at the request. This
 * makes them single-use: the use of a token changes the state that it is bound to.
 */
export interface OneTimeTokens {
  /** Makes a token and revokes the older ones of the same user and purpose. */
  issue(grant: Grant<TokenPurpose>, ttlSeconds: number): Promise<string>;
  find<P extends TokenPurpose>(
    token: string,
    purposes: readonly P[],
  ): Promise<Grant<P> | undefined>;
  /** The tokens of a user that can still be used. */
  ofUser(userId: string): Promise<readonly IssuedToken[]>;
  /** Revokes the tokens of users, of these purposes. */
  revokeOf(userIds: readonly string[], purposes: readonly TokenPurpose[]): Promise<void>;
  /** Revokes the tokens of a user, of these purposes or of all. */
  revoke(userId: string, purposes?: readonly TokenPurpose[]): Promise<void>;
}

/** One of each purpose, and those that concurrent requests left. */
const OF_USER_MAX = 100;

export const oneTimeTokenIndexes = {
  collection: ONE_TIME_TOKENS_COLLECTION,
  indexes: [
    { key: { userId: 1, purpose: 1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

export function createOneTimeTokens(
  connection: Connection,
  { timeoutMs }: { timeoutMs: number },
): OneTimeTokens {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = <P extends TokenPurpose>() =>
    connection.collection<TokenRow<P>>(ONE_TIME_TOKENS_COLLECTION);
  return {
    async issue(grant, ttlSeconds) {
      const token = randomToken(32);
      const { userId, purpose } = grant;
      await rows().deleteMany({ userId, purpose }, bounded);
      const fields = { ...asLiterals(grant), until: afterNow(ttlSeconds * 1000) };
      await rows().updateOne({ _id: sha256(token) }, [{ $set: fields }], {
        ...bounded,
        upsert: true,
      });
      return token;
    },
    async find<P extends TokenPurpose>(token: string, purposes: readonly P[]) {
      // By the database's clock: a wrong host clock does not change the lifetime of a token.
      const found = await rows<P>().findOne<Grant<P>>(
        // The driver's type of a filter does not know that P is a string.
        { _id: sha256(token), purpose: { $in: [...purposes] }, ...unexpired } as object,
        bounded,
      );
      return found ?? undefined;
    },
    ofUser: (userId) =>
      rows()
        .find({ userId }, { ...bounded, limit: OF_USER_MAX })
        .project<IssuedToken>({ _id: 0, purpose: 1, email: 1, until: 1 })
        .toArray(),
    async revokeOf(userIds, purposes) {
      const of = { userId: { $in: [...userIds] }, purpose: { $in: [...purposes] } };
      await rows().deleteMany(of, bounded);
    },
    async revoke(userId, purposes = [...PURPOSES, REQUIRED_PASSWORD]) {
      await rows().deleteMany({ userId, purpose: { $in: [...purposes] } }, bounded);
    },
  };
}
