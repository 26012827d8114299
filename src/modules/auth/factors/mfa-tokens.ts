import type { Connection } from 'mongoose';
import { sha256 } from '../../../kernel/crypto/digest';
import { randomToken } from '../../../kernel/crypto/random';
import type { ClientInfo } from '../../../platform/http/client-info';
import { afterNow, asLiterals, unexpired } from '../../../platform/mongo/expressions';
import type { Amr } from '../sessions/authentication';
import { deviceKey } from '../sessions/known-devices';
import type { SessionRow } from '../sessions/session-store';

export const MFA_TOKENS_COLLECTION = 'mfa_tokens';

/** A sign-in whose first step was right, and that waits for a factor. */
export interface SignInAwaitingFactor extends Pick<SessionRow, 'inCookie' | 'dpopJkt'> {
  readonly userId: string;
  /** The session version of the account at the first step: whatever ends sessions ends this too. */
  readonly sessionVersion: number;
  readonly amr: Amr;
  readonly knownUntil?: Date;
  readonly isNew: boolean;
  /** The account has no factor and needs one: the token allows to enrol it. */
  readonly enrols: boolean;
}

interface AwaitingRow extends SignInAwaitingFactor {
  /** SHA-256 of the token. */
  readonly _id: string;
  /** `deviceKey` of the client of the first step. */
  readonly device: string;
  readonly until: Date;
}

/** Several sign-ins of one account may be pending at a time. */
export interface MfaTokens {
  /** Resolves with the `mfa_token`. */
  issue(pending: SignInAwaitingFactor, client: ClientInfo): Promise<string>;
  /** null: unknown, expired, used, or of another client. */
  find(token: string, client: ClientInfo): Promise<SignInAwaitingFactor | null>;
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
    async find(token, client) {
      const found = await rows().findOne({ _id: sha256(token), ...unexpired }, bounded);
      return found !== null && found.device === deviceKey(found.userId, client) ? found : null;
    },
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
