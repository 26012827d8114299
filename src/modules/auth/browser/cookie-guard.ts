import type { Request, RequestHandler } from 'express';
import type { Policy } from '../../../kernel/permissions';
import { clientOf } from '../../../platform/http/client-info';
import type { GuardsOf } from '../../../platform/http/endpoint';
import type { Dpop } from '../dpop/dpop';
import { authFieldsOf } from '../endpoint';
import { Principal } from '../principal';
import type { Sessions } from '../sessions/sessions';
import type { PageOrigins } from './page-origin';
import { clearingCookie } from './refresh-by-cookie';

interface CookieGuardDependencies {
  readonly pages: PageOrigins;
  readonly sessions: Pick<Sessions, 'identify'>;
  readonly dpop: Dpop;
  readonly policy: Policy;
}

/**
 * Where a session ends, its cookie may stand for the access token: a page whose access token has
 * expired need not refresh to log out. It is as good as at a refresh, by which its page would get
 * an access token: a token that has been replaced, or without the key of its session, ends nothing
 * else. A request with an access token is judged by that alone.
 */
export function withCookieGuard(guardsOf: GuardsOf, deps: CookieGuardDependencies): GuardsOf {
  const { pages, sessions, dpop, policy } = deps;

  async function principalBy(text: string, req: Request): Promise<Principal> {
    const presented = { text, inCookie: true, proof: dpop.proofOf(req) };
    const { row, owner: account } = await sessions.identify(presented, clientOf(req));
    const { _id: sessionId, userId, version: sessionVersion } = row;
    const permissions = policy.permissionsOf(account.role);
    return new Principal({ userId, sessionId, sessionVersion, permissions, account });
  }

  const accept = async (req: Request, text: string): Promise<void> => {
    req.context.principal = await clearingCookie(() => principalBy(text, req));
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
    return authFieldsOf(endpoint).session === 'ends' ? guards.map(orCookie) : guards;
  };
}
