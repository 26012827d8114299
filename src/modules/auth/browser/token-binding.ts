import type { RequestHandler } from 'express';
import { sha256 } from '../../../kernel/crypto/digest';
import type { Route } from '../../../platform/http/endpoint';
import type { Dpop } from '../dpop/dpop';
import { authFieldsOf } from '../endpoint';
import type { PageOrigins } from './page-origin';
import { readRefreshCookie } from './refresh-cookie';

/**
 * Adds to every route that opens a session the reading of how the client keeps its refresh tokens.
 * After the limiter, so that nobody fills the store of used proofs, and before the handler, so that
 * a wrong proof creates no account. To those that renew one, the reading of its cookie.
 */
export function withTokenBinding(
  routes: readonly Route[],
  deps: { readonly pages: PageOrigins; readonly dpop: Dpop },
): Route[] {
  const readings = { opens: bindTokens(deps), renews: readCookie(deps.pages) };
  return routes.map((one) => {
    const { session } = authFieldsOf(one.endpoint);
    const isRead = session === 'opens' || session === 'renews';
    return isRead ? { ...one, before: [...one.before, readings[session]] } : one;
  });
}

/** Other pages may use the access token, and get no cookie. */
function readCookie(pages: PageOrigins): RequestHandler {
  return (req, _res, next) => {
    const token = pages.isFromPage(req) ? readRefreshCookie(req) : undefined;
    if (token !== undefined) req.context.cookieHash = sha256(token);
    next();
  };
}

function bindTokens({
  pages,
  dpop,
}: {
  readonly pages: PageOrigins;
  readonly dpop: Dpop;
}): RequestHandler {
  return (req, _res, next) => {
    const inCookie = pages.wantsCookie(req);
    const proof = dpop.proofOf(req);
    if (!inCookie && proof === undefined) return next();
    req.context.tokenBinding = { inCookie, dpopJkt: proof?.jkt };
    if (proof === undefined) return next();
    proof.use().then(() => next(), next);
  };
}
