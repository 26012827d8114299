import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { DpopProof } from '../dpop/dpop';
import type { ServiceAccounts } from '../service-accounts/service-accounts';
import { MAX_LEEWAY_SECONDS } from '../sessions/end-sessions';
import type { Sessions } from '../sessions/sessions';
import type { AccessClaims } from '../tokens/claims';
import type { AccessTokenReader } from './access-token-reader';
import { granting } from './oauth-error';

export interface RevocationDependencies {
  readonly sessions: Pick<Sessions, 'findPresented' | 'endIfValid' | 'end' | 'endActing'>;
  readonly services: Pick<ServiceAccounts, 'revokeToken'>;
  readonly emit: EmitEvent;
  /** Resolves when no verifier of another service accepts the ended tokens. */
  readonly tokensEnded: (subjects: readonly string[]) => Promise<void>;
}

/** RFC 7009: see `OAuth.revoke`. */
export function createRevocation(
  { sessions, services, emit, tokensEnded }: RevocationDependencies,
  { claimsOf, validToken }: AccessTokenReader,
) {
  /** On record of both, as is everything that is done with such a token. */
  async function endActing(
    { sub: userId, sid: session }: AccessClaims,
    actor: string,
    at: ClientInfo,
  ) {
    if (!(await sessions.endActing(userId, session))) return;
    const client = { ...at, impersonation: { actor, user: userId } };
    emit('SessionsEnded', { userId, session, by: { kind: 'revocation' }, client });
  }

  /** An access token that has ended already: that may not have been acknowledged. */
  async function assertEnded(token: string): Promise<void> {
    const claims = claimsOf(token);
    if (claims === undefined) return;
    const { sub, act } = claims;
    await tokensEnded(act === undefined ? [sub] : [sub, act.sub]);
  }

  /** `end`: a valid access token proves a valid session; a refresh token may be of an ended one. */
  async function endSession(
    end: Sessions['end'],
    userId: string,
    session: string,
    client: ClientInfo,
  ): Promise<void> {
    if (await end(userId, session))
      emit('SessionsEnded', { userId, session, by: { kind: 'revocation' }, client });
  }

  return async (text: string, proof: DpopProof | undefined, client: ClientInfo): Promise<void> => {
    const presented = { text, inCookie: false, proof };
    const row = await granting(() => sessions.findPresented(presented, client));
    if (row !== undefined) return endSession(sessions.endIfValid, row.userId, row._id, client);
    const good = await validToken(text);
    if (good === undefined) return assertEnded(text);
    const { claims, subject } = good;
    if (subject.kind === 'service') {
      const until = new Date((claims.exp + MAX_LEEWAY_SECONDS) * 1000);
      const isFirst = await services.revokeToken(subject.id, claims.jti, until);
      if (isFirst) emit('ClientTokenRevoked', { accountId: subject.id, client });
      return;
    }
    if (claims.act !== undefined) return endActing(claims, claims.act.sub, client);
    await endSession(sessions.end, claims.sub, claims.sid, client);
  };
}
