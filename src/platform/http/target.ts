import type { RequestListener } from 'node:http';

/** Matches no route, so the response is that of any unknown path. */
const UNROUTABLE = '/.invalid';

/**
 * Express cannot route a target in absolute form (RFC 9112 §3.2.2) that is no URL, such as
 * `http://[::1`: it answers a bare 404 without request id, log line or problem. The app gets an
 * unknown path instead.
 */
export const withRoutableTargets =
  (app: RequestListener): RequestListener =>
  (request, response) => {
    if (!isRoutable(request.url ?? '')) request.url = UNROUTABLE;
    app(request, response);
  };

function isRoutable(target: string): boolean {
  return target.startsWith('/') || target === '*' || URL.canParse(target);
}
