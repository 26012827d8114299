import type { Request } from 'express';

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
  const prefix = `${REFRESH_COOKIE}=`;
  const pairs = cookie?.split(';').map((pair) => pair.trim()) ?? [];
  // An empty value is a cookie that was removed.
  return pairs.find((pair) => pair.startsWith(prefix))?.slice(prefix.length) || undefined;
}
