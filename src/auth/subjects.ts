import type { Region } from '../cache/port';
import { type CachedUser, sessionStands } from '../users/cached';
import type { ServiceAccounts } from './service-accounts';
import type { AccessClaims } from './tokens';

/** What a verified token stands for at this moment. */
export type Subject =
  | { readonly kind: 'user'; readonly user: CachedUser }
  | { readonly kind: 'service'; readonly id: string; readonly scopes: readonly string[] };

export interface Subjects {
  /** From the near copy alone, without a promise; undefined: ask `get`. null: the token is no longer good. */
  peek(claims: AccessClaims): Subject | null | undefined;
  get(claims: AccessClaims): Promise<Subject | null>;
}

/** Revocation: what a token says is held against the user or service account as the cache has it. */
export function createSubjects(users: Region<CachedUser>, services: ServiceAccounts): Subjects {
  const judge = (user: CachedUser | null, claims: AccessClaims): Subject | null =>
    user !== null && sessionStands(user, claims.sid, claims.ver) ? { kind: 'user', user } : null;

  async function service(claims: AccessClaims, scope: string): Promise<Subject | null> {
    const account = await services.find(claims.sub);
    if (account === null) return null;
    return { kind: 'service', id: account.id, scopes: scope.split(' ').filter((one) => account.scopes.some((allowed) => allowed === one)) };
  }

  return {
    peek(claims) {
      if (claims.scope !== undefined) return undefined;
      const near = users.peek(claims.sub);
      return near === undefined ? undefined : judge(near, claims);
    },
    async get(claims) {
      return claims.scope === undefined ? judge(await users.get(claims.sub), claims) : service(claims, claims.scope);
    },
  };
}
