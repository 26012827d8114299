import type { Connection } from 'mongoose';
import { sha256 } from '../../../kernel/crypto/digest';
import { randomToken } from '../../../kernel/crypto/random';
import { afterNow, unexpired } from '../../../platform/mongo/expressions';

export const CHALLENGES_COLLECTION = 'passkey_challenges';

/**
 * The purpose that a challenge was issued for. A registration belongs to a session, a factor to a
 * pending sign-in or a session; a sign-in belongs to nobody yet.
 */
export type ChallengeFor =
  | { readonly purpose: 'sign-in' }
  | {
      readonly purpose: 'registration' | 'factor';
      readonly userId: string;
      /** Id of the session, or digest of the token of the pending sign-in. */
      readonly holder: string;
    };

interface ChallengeRow {
  /** SHA-256 of the challenge. */
  readonly _id: string;
  readonly purpose: ChallengeFor['purpose'];
  /** SHA-256 of the account and the holder: nothing here names the user. */
  readonly binding?: string;
  readonly until: Date;
}

export interface Challenges {
  /** 256 random bits in base64url. */
  issue(target: ChallengeFor): Promise<string>;
  /**
   * True for one call alone, over all hosts: the challenge was issued for this, has not expired by
   * the database's clock, and was not used. A challenge of something else stays unused.
   */
  consume(challenge: string, target: ChallengeFor): Promise<boolean>;
}

export const challengeIndexes = {
  collection: CHALLENGES_COLLECTION,
  indexes: [
    {
      key: { binding: 1, until: -1 },
      name: 'by_binding',
      partialFilterExpression: { binding: { $exists: true } },
    },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 60 },
  ],
} as const;

/** Of one account and holder: some for several tabs. Issuing another drops the oldest. */
const PENDING_MAX = 5;

interface ChallengesOptions {
  readonly timeoutMs: number;
  readonly ttlSeconds: number;
}

const bindingOf = (target: ChallengeFor): string | undefined =>
  target.purpose === 'sign-in'
    ? undefined
    : sha256(`${target.purpose}\n${target.userId}\n${target.holder}`);

export function createChallenges(connection: Connection, options: ChallengesOptions): Challenges {
  const { timeoutMs, ttlSeconds } = options;
  const ttlMs = ttlSeconds * 1000;
  const bounded = { maxTimeMS: timeoutMs };
  const rows = () => connection.collection<ChallengeRow>(CHALLENGES_COLLECTION);

  async function dropOldest(binding: string): Promise<void> {
    const surplus = await rows()
      .find({ binding }, { ...bounded, projection: { _id: 1 } })
      .sort({ until: -1 })
      .skip(PENDING_MAX)
      .limit(100)
      .toArray();
    const ids = surplus.map(({ _id }) => _id);
    if (ids.length > 0) await rows().deleteMany({ _id: { $in: ids } }, bounded);
  }

  return {
    async issue(target) {
      const challenge = randomToken(32);
      const binding = bindingOf(target);
      const fields = { purpose: { $literal: target.purpose }, until: afterNow(ttlMs) };
      await rows().updateOne(
        { _id: sha256(challenge) },
        [{ $set: { ...fields, ...(binding !== undefined && { binding: { $literal: binding } }) } }],
        { ...bounded, upsert: true },
      );
      if (binding !== undefined) await dropOldest(binding);
      return challenge;
    },
    async consume(challenge, target) {
      const binding = bindingOf(target);
      const { deletedCount } = await rows().deleteOne(
        {
          _id: sha256(challenge),
          purpose: target.purpose,
          ...(binding !== undefined && { binding }),
          ...unexpired,
        },
        bounded,
      );
      return deletedCount === 1;
    },
  };
}
