import type { RequestHandler } from 'express';

/** For HTML pages, the only responses that load resources. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Allows the stylesheet of a CDN in front of this service; '' means no CDN. */
export const pagePolicy = (assetBaseUrl: string): string =>
  assetBaseUrl === ''
    ? PAGE_POLICY
    : PAGE_POLICY.replace("style-src 'self'", `style-src 'self' ${new URL(assetBaseUrl).origin}`);

/**
 * The headers of helmet for a JSON API, as constants: computing them per request cost 3 k of 31 k
 * requests/s (docs/performance.md).
 */
export const SECURITY_HEADERS: readonly (readonly [string, string])[] = [
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ['Cross-Origin-Opener-Policy', 'same-origin'],
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Referrer-Policy', 'no-referrer'],
  ['Strict-Transport-Security', 'max-age=31536000; includeSubDomains'],
  ['X-Content-Type-Options', 'nosniff'],
  ['X-Frame-Options', 'DENY'],
];

export function securityHeaders(): RequestHandler {
  const headers = SECURITY_HEADERS.flat();
  return (req, _res, next) => {
    req.context.pendingHeaders.push(...headers);
    next();
  };
}
