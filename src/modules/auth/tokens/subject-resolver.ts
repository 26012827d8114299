import type { Role, Scope } from '../../../kernel/permissions';
import type { ServiceAccount, ServiceAccounts } from '../service-accounts/service-accounts';
import type { Account, UsersPort } from '../users-port';
import type { AccessClaims } from './claims';

/** The present user or service account of a verified token. */
export type Subject =
  | { readonly kind: 'user'; readonly user: Account }
  | { readonly kind: 'service'; readonly id: string; readonly scopes: readonly Scope[] };

export interface SubjectResolver {
  /**
   * From the local cache only, without a promise. undefined: call `get`. null: the token is
   * revoked.
   */
  peek(claims: AccessClaims): Subject | null | undefined;
  get(claims: AccessClaims): Promise<Subject | null>;
  /** From MongoDB: write access to Redis must not give anybody a permission. */
  confirm(claims: AccessClaims): Promise<Subject | null>;
}

/** Revocation: compares the claims of a token with the cached user or service account. */
export function createSubjectResolver(
  users: Pick<UsersPort, 'peek' | 'get' | 'stored' | 'sessionStands'>,
  services: ServiceAccounts,
  /** Whether a role may still impersonate. */
  mayImpersonate: (role: Role) => boolean,
): SubjectResolver {
  const { sessionStands } = users;
  const userSubject = (user: Account | null, claims: AccessClaims): Subject | null =>
    user !== null && sessionStands(user, claims.sid, claims.ver) ? { kind: 'user', user } : null;

  /** The user, if the administrator may still act as it: the session stands, the role allows it. */
  async function actedFor(
    user: Subject | null,
    { act }: AccessClaims,
    read: (id: string) => Promise<Account | null>,
  ): Promise<Subject | null> {
    if (act === undefined || user === null) return user;
    const actor = await read(act.sub);
    return actor !== null && sessionStands(actor, act.sid, act.ver) && mayImpersonate(actor.role)
      ? user
      : null;
  }

  function serviceSubject(
    account: ServiceAccount | null,
    { ver, jti }: AccessClaims,
    scope: string,
  ): Subject | null {
    if (account === null || ver !== account.tokenVersion || account.revokedTokens.includes(jti))
      return null;
    return {
      kind: 'service',
      id: account.id,
      scopes: asked(scope, account.scopes),
    };
  }

  return {
    peek(claims) {
      if (claims.scope !== undefined || claims.act !== undefined) return undefined;
      const cached = users.peek(claims.sub);
      return cached === undefined ? undefined : userSubject(cached, claims);
    },
    async get(claims) {
      return claims.scope === undefined
        ? actedFor(userSubject(await users.get(claims.sub), claims), claims, users.get)
        : serviceSubject(await services.find(claims.sub), claims, claims.scope);
    },
    async confirm(claims) {
      return claims.scope === undefined
        ? actedFor(userSubject(await users.stored(claims.sub), claims), claims, users.stored)
        : serviceSubject(await services.findStored(claims.sub), claims, claims.scope);
    },
  };
}

/** Of the scopes in a token, those that the account has now. */
const asked = (scope: string, has: readonly Scope[]): Scope[] => {
  const names = scope.split(' ');
  return has.filter((one) => names.includes(one));
};
