import type { Request, RequestHandler } from 'express';
import type { Policy } from '../../../kernel/permissions';
import type { GuardsOf } from '../../../platform/http/endpoint';
import { Principal } from '../principal';
import { invalidRefreshToken } from '../problems';
import type { Sessions } from '../sessions/sessions';
import type { UsersPort } from '../users-port';
import type { PageOrigins } from './page-origin';
import { clearingCookie } from './refresh-by-cookie';

interface CookieGuardDependencies {
  readonly pages: PageOrigins;
  readonly sessions: Pick<Sessions, 'findStanding'>;
  readonly users: Pick<UsersPort, 'get'>;
  readonly policy: Policy;
}

/**
 * Where a session ends, its cookie may stand for the access token: a page whose access token has
 * expired need not refresh to log out. A request with an access token is judged by that alone.
 */
export function withCookieGuard(guardsOf: GuardsOf, deps: CookieGuardDependencies): GuardsOf {
  const { pages, sessions, users, policy } = deps;

  async function principalBy(text: string): Promise<Principal> {
    const row = await sessions.findStanding(text);
    const account = row?.inCookie === true ? await users.get(row.userId) : null;
    if (row === undefined || account === null) throw invalidRefreshToken();
    const { _id: sessionId, userId, version: sessionVersion } = row;
    const permissions = policy.permissionsOf(account.role);
    return new Principal({ userId, sessionId, sessionVersion, permissions, account });
  }

  const accept = async (req: Request, text: string): Promise<void> => {
    req.context.principal = await clearingCookie(() => principalBy(text));
  };

  const orCookie =
    (guard: RequestHandler): RequestHandler =>
    (req, res, next) => {
      const text = req.headers.authorization === undefined ? pages.cookieOf(req) : undefined;
      if (text === undefined) guard(req, res, next);
      else accept(req, text).then(() => next(), next);
    };

  return (endpoint) => {
    const guards = guardsOf(endpoint);
    return endpoint.session === 'ends' ? guards.map(orCookie) : guards;
  };
}
