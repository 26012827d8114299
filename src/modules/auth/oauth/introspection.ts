import type { SessionRow } from '../sessions/session-row';
import type { Sessions } from '../sessions/sessions';
import type { AccessClaims } from '../tokens/claims';
import type { AccessTokenReader } from './access-token-reader';

export type Introspection = { readonly active: boolean } & {
  readonly [claim: string]:
    | string
    | number
    | boolean
    | { readonly sub: string }
    | { readonly jkt: string };
};

export interface IntrospectionDependencies {
  readonly sessions: Pick<Sessions, 'findByCurrentToken'>;
  readonly issuer: string;
  readonly audience: string;
}

/** RFC 7662. */
export function createIntrospection(
  { sessions, issuer, audience }: IntrospectionDependencies,
  { validToken }: AccessTokenReader,
) {
  return async (token: string): Promise<Introspection> => {
    const row = await sessions.findByCurrentToken(token);
    if (row !== undefined) return { ...refreshClaims(row), iss: issuer };
    const good = await validToken(token);
    if (good === undefined) return { active: false };
    const { claims, subject } = good;
    const { sub, jti, iat, exp } = claims;
    const common = {
      active: true,
      token_type: 'Bearer',
      iss: issuer,
      aud: audience,
      sub,
      jti,
      iat,
      exp,
    } as const;
    return subject.kind === 'user'
      ? { ...common, role: subject.user.role, ...sessionClaims(claims) }
      : { ...common, client_id: sub, scope: subject.scopes.join(' ') };
  };
}

/** RFC 9470 §6.2 wants `acr` and `auth_time` here. */
const sessionClaims = ({ sid, client_id, act, auth_time, acr }: AccessClaims) => ({
  sid,
  ...(client_id === undefined ? {} : { client_id }),
  ...(act === undefined ? {} : { act: { sub: act.sub } }),
  ...(auth_time === undefined ? {} : { auth_time }),
  ...(acr === undefined ? {} : { acr }),
});

const refreshClaims = (row: SessionRow) => ({
  active: true,
  sub: row.userId,
  sid: row._id,
  iat: seconds(row.lastUsedAt),
  exp: seconds(row.until),
  ...(row.dpopJkt === undefined ? {} : { cnf: { jkt: row.dpopJkt } }),
});

const seconds = (date: Date) => Math.floor(date.getTime() / 1000);
