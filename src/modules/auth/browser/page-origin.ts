import type { Request } from 'express';
import { problems } from '../../../kernel/errors';
import { originNotAllowed } from '../problems';
import { readRefreshCookie } from './refresh-cookie';

/** Own pages that keep the refresh token in a cookie: BROWSER_ORIGINS. */
export interface PageOrigins {
  /**
   * Whether the request asks for the cookie. Throws 403 `origin_not_allowed` when its page may not:
   * otherwise another site could sign the browser in to an account of its own (login CSRF).
   */
  wantsCookie(req: Request): boolean;
  /**
   * The refresh token of the cookie, or undefined. Throws 403 `origin_not_allowed` unless a page in
   * the list sent the request: other pages make the browser send the cookie too.
   */
  cookieOf(req: Request): string | undefined;
  /** Whether a page in the list sent the request. */
  isFromPage(req: Request): boolean;
}

const MODE_HEADER = 'refresh-token-mode';

export function createPageOrigins(origins: readonly string[]): PageOrigins {
  const allowed: ReadonlySet<string> = new Set(origins);

  /** Browsers send Origin with every POST, and no page can change either header. */
  function isFromPage({ headers }: Request): boolean {
    const { origin } = headers;
    const site = headers['sec-fetch-site'];
    return (
      origin !== undefined &&
      allowed.has(origin) &&
      (site === undefined || site === 'same-origin' || site === 'same-site')
    );
  }

  function assertFromPage(req: Request): void {
    if (!isFromPage(req)) throw originNotAllowed();
  }

  return {
    isFromPage,
    wantsCookie(req) {
      const mode = req.headers[MODE_HEADER];
      if (mode === undefined) return false;
      if (mode !== 'cookie')
        throw problems.malformed(
          'invalid_refresh_token_mode',
          'Refresh-Token-Mode must be cookie, or absent.',
        );
      assertFromPage(req);
      return true;
    },
    cookieOf(req) {
      const token = allowed.size === 0 ? undefined : readRefreshCookie(req);
      if (token !== undefined) assertFromPage(req);
      return token;
    },
  };
}
