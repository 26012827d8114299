import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { DpopProof } from '../dpop/dpop';
import { dpopProofMissing, invalidRefreshToken } from '../problems';
import type { SessionRow } from './session-row';
import type { SessionStore } from './session-store';

/** How a refresh token was presented. */
export interface Presented {
  /** Whether it came in the cookie. */
  readonly inCookie: boolean;
  readonly proof: DpopProof | undefined;
}

/** One event of a session in this time: a thief of a token cannot fill the audit log. */
const QUIET_SECONDS = 3600;

function misuseOf(
  { inCookie, dpopJkt }: SessionRow,
  presented: Presented,
): 'other_place' | 'proof_missing' | 'other_key' | undefined {
  if (presented.inCookie !== (inCookie === true)) return 'other_place';
  if (dpopJkt === undefined) return undefined;
  if (presented.proof === undefined) return 'proof_missing';
  return presented.proof.jkt === dpopJkt ? undefined : 'other_key';
}

/**
 * Before anything is made of the token, even of its reuse: a client that lacks the key, or reads
 * the token from elsewhere, can neither use nor end the session. The proof is used up last, so that
 * only owners of the key write to the store of used proofs. A session that is not bound ignores it.
 */
export function createBindingCheck({
  store,
  emit,
}: {
  readonly store: Pick<SessionStore, 'noteMisuse'>;
  readonly emit: EmitEvent;
}) {
  return async (row: SessionRow, presented: Presented, client: ClientInfo): Promise<void> => {
    const reason = misuseOf(row, presented);
    if (reason !== undefined) {
      const { userId, _id: session } = row;
      if (await store.noteMisuse(session, QUIET_SECONDS))
        emit('RefreshRefused', { userId, session, reason, client });
      throw reason === 'proof_missing' ? dpopProofMissing() : invalidRefreshToken();
    }
    if (row.dpopJkt !== undefined) await presented.proof?.use();
  };
}
