import type { Connection } from 'mongoose';
import { sha256 } from '../../../kernel/crypto/digest';
import { randomToken } from '../../../kernel/crypto/random';
import type { ClientInfo } from '../../../platform/http/client-info';
import { afterNow, asLiterals, unexpired } from '../../../platform/mongo/expressions';
import type { Amr } from '../sessions/authentication';
import { deviceKey } from '../sessions/known-devices';
import type { SessionRow } from '../sessions/session-row';

export const MFA_TOKENS_COLLECTION = 'mfa_tokens';

/** A sign-in whose first step was right, and that waits for a factor. */
export interface SignInAwaitingFactor extends Pick<SessionRow, 'inCookie' | 'dpopJkt'> {
  readonly userId: string;
  /** The session version of the account at the first step: an end of sessions ends this too. */
  readonly sessionVersion: number;
  readonly amr: Amr;
  readonly knownUntil?: Date;
  readonly isNew: boolean;
  /** The account has no factor and needs one: the token allows to enrol it. */
  readonly enrols: boolean;
}

interface FoundSignIn extends SignInAwaitingFactor {
  /** `deviceKey` of the client of the first step. */
  readonly device: string;
}

interface AwaitingRow extends FoundSignIn {
  /** SHA-256 of the token. */
  readonly _id: string;
  readonly until: Date;
}

/** Whether the first step was of this client. */
export const isOfClient = ({ userId, device }: FoundSignIn, client: ClientInfo): boolean =>
  device === deviceKey(userId, client);

/** Several sign-ins of one account may be pending at a time. */
export interface MfaTokens {
  /** Resolves with the `mfa_token`. */
  issue(pending: SignInAwaitingFactor, client: ClientInfo): Promise<string>;
  /** null: unknown, expired or used. */
  find(token: string): Promise<FoundSignIn | null>;
  /** Of several concurrent calls, one gets true. */
  consume(token: string): Promise<boolean>;
  revoke(userId: string): Promise<void>;
}

export const mfaTokenIndexes = {
  collection: MFA_TOKENS_COLLECTION,
  indexes: [
    { key: { userId: 1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

export function createMfaTokens(
  connection: Connection,
  { timeoutMs, ttlSeconds }: { timeoutMs: number; ttlSeconds: number },
): MfaTokens {
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<AwaitingRow>(MFA_TOKENS_COLLECTION);
  return {
    async issue(pending, client) {
      const token = randomToken(32);
      const device = deviceKey(pending.userId, client);
      const fields = { ...asLiterals({ ...pending, device }), until: afterNow(ttlSeconds * 1000) };
      const upsert = { ...bounded, upsert: true };
      await rows().updateOne({ _id: sha256(token) }, [{ $set: fields }], upsert);
      return token;
    },
    find: (token) => rows().findOne({ _id: sha256(token), ...unexpired }, bounded),
    async consume(token) {
      const filter = { _id: sha256(token), ...unexpired };
      const { deletedCount } = await rows().deleteOne(filter, bounded);
      return deletedCount === 1;
    },
    async revoke(userId) {
      await rows().deleteMany({ userId }, bounded);
    },
  };
}
