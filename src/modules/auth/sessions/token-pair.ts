import { refreshCookie } from '../browser/refresh-cookie';
import type { SessionAuth } from '../tokens/session-auth';
import type { Tokens } from '../tokens/tokens';
import type { Account } from '../users-port';
import type { RefreshToken } from './refresh-token';

/** The tokens of a session, as the client gets them (RFC 6749 §5.1). */
export interface TokenPair {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly refresh_token: string;
}

export function issuePair(
  tokens: Tokens,
  user: Account,
  refresh: RefreshToken,
  session: SessionAuth,
): TokenPair {
  const { token, expiresInSeconds } = tokens.issue(user, refresh.sid, session);
  return {
    access_token: token,
    token_type: 'Bearer',
    expires_in: expiresInSeconds,
    refresh_token: refresh.text,
  };
}

const COOKIE = Symbol('the reply headers that store the refresh token');

/** A pair for the client. JSON.stringify never shows a token that is for the cookie. */
export type DeliveredPair =
  | TokenPair
  | (Omit<TokenPair, 'refresh_token'> & { readonly [COOKIE]: Readonly<Record<string, string>> });

/** Of a session in a cookie, for a client without it: the refresh token stays in the browser. */
export const withoutRefreshToken = ({ refresh_token: _, ...pair }: TokenPair): DeliveredPair => ({
  ...pair,
  [COOKIE]: {},
});

/** The pair of a session that keeps its refresh token in a cookie. */
export function forCookie(
  { refresh_token, ...pair }: TokenPair,
  maxAgeSeconds: number,
): DeliveredPair {
  return { ...pair, [COOKIE]: refreshCookie(refresh_token, maxAgeSeconds) };
}

/** The reply headers that the pair needs. */
export const headersOfPair = (pair: DeliveredPair): Readonly<Record<string, string>> =>
  COOKIE in pair ? pair[COOKIE] : {};

/** The JSON of a pair, ready to send. */
export const pairBytes = (pair: TokenPair): Buffer => Buffer.from(JSON.stringify(pair));
