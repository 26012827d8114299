import type { RequestHandler } from 'express';
import type { Route } from '../../../platform/http/endpoint';
import type { Dpop } from '../dpop/dpop';
import type { PageOrigins } from './page-origin';

/**
 * Adds to every route that opens a session the reading of how the client keeps its refresh tokens.
 * After the limiter, so that nobody fills the store of used proofs, and before the handler, so that
 * a wrong proof creates no account.
 */
export function withTokenBinding(
  routes: readonly Route[],
  deps: { readonly pages: PageOrigins; readonly dpop: Dpop },
): Route[] {
  const bind = bindTokens(deps);
  return routes.map((one) =>
    one.endpoint.session === 'opens' ? { ...one, before: [...one.before, bind] } : one,
  );
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
