import type { Connection } from 'mongoose';
import { sha256 } from '../../../kernel/crypto/digest';
import { isDuplicateKey } from '../../../platform/mongo/errors';

const USED_PROOFS_COLLECTION = 'dpop_proofs';

interface UsedProofRow {
  /** SHA-256 of the key's thumbprint and the `jti`. */
  readonly _id: string;
  /** When the proof is too old to be accepted in any case. */
  readonly until: Date;
}

/** The proofs that were used, for all hosts together. */
export interface UsedProofs {
  /** Resolves true for one of all uses: the insert decides. */
  use(proof: { readonly jkt: string; readonly jti: string }, until: Date): Promise<boolean>;
}

export const usedProofIndexes = {
  collection: USED_PROOFS_COLLECTION,
  indexes: [{ key: { until: 1 }, name: 'expiry', expireAfterSeconds: 0 }],
} as const;

export function createUsedProofs(
  connection: Connection,
  { timeoutMs }: { timeoutMs: number },
): UsedProofs {
  const rows = () => connection.collection<UsedProofRow>(USED_PROOFS_COLLECTION);
  return {
    async use({ jkt, jti }, until) {
      try {
        await rows().insertOne({ _id: sha256(`${jkt}\n${jti}`), until }, { maxTimeMS: timeoutMs });
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    },
  };
}
