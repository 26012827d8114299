import type { Request } from 'express';
import { cookieValues } from './cookie-values';

/** The prefix makes browsers refuse it unless it is Secure, of this host alone, with Path=/. */
const REFRESH_COOKIE = '__Host-refresh_token';
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** Reply headers that store the token. */
export const refreshCookie = (token: string, maxAgeSeconds: number) => ({
  'Set-Cookie': `${REFRESH_COOKIE}=${token}; Max-Age=${maxAgeSeconds}; ${ATTRIBUTES}`,
});

/** Reply headers that remove it. */
export const NO_REFRESH_COOKIE = {
  'Set-Cookie': `${REFRESH_COOKIE}=; Max-Age=0; ${ATTRIBUTES}`,
} as const;

export function readRefreshCookie({ headers: { cookie } }: Pick<Request, 'headers'>) {
  // An empty value is a cookie that was removed.
  return cookieValues(cookie, REFRESH_COOKIE)[0] || undefined;
}
