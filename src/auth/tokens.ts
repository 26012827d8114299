import { randomUUID } from 'node:crypto';
import { problems } from '../errors';
import { isRole, type Role } from '../users/roles';
import { MAX_TOKEN_CHARS, openJws, parseStrictJson, signJws } from './jws';
import type { KeyRing } from './keys';
import { createVerifiedCache } from './verified-cache';

/** The claims of an access token (RFC 9068 §2.2) that the service reads. Times are NumericDate, in seconds. */
export interface AccessClaims {
  readonly sub: string;
  /** The session. */
  readonly sid: string;
  /** The session version of the user when the token was issued: a lower one than the user's is revoked. */
  readonly ver: number;
  readonly role: Role;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
  /** Only of a service account (`sub`): what it may do, separated by spaces (RFC 9068 §2.2.3). */
  readonly scope?: string;
}

export interface TokenSubject {
  readonly id: string;
  readonly role: Role;
  readonly sessionVersion: number;
}

export interface Tokens {
  issue(user: TokenSubject, sid: string): { token: string; expiresInSeconds: number };
  /** For a service account; it has no session. */
  issueToService(id: string, scopes: readonly string[]): { token: string; expiresInSeconds: number };
  /**
   * Signature, form and times. Whether the session still stands is for the caller to ask (authenticate.ts): a verified
   * token is remembered, a revocation must not be. Throws the one uniform 401 Problem `invalid_token`.
   */
  verify(token: string): AccessClaims;
}

export interface TokenOptions {
  readonly keys: KeyRing;
  readonly issuer: string;
  readonly audience: string;
  readonly ttlSeconds: number;
  /** Most seconds that the issuer's clock may be apart from ours. */
  readonly leewaySeconds: number;
  /** Most verified tokens remembered; 0 verifies each time. */
  readonly cacheMaxEntries: number;
  /** Wall clock in ms since the epoch. */
  readonly now: () => number;
}

/** RFC 9068 §2.1: keeps other JWTs of the same issuer (ID tokens, mail links) from being taken for access tokens. */
const TYP = 'at+jwt';
const MAX_ID_CHARS = 128;

export function createTokens(options: TokenOptions): Tokens {
  const { keys, issuer, audience, ttlSeconds, leewaySeconds, now } = options;
  const verified = createVerifiedCache<AccessClaims>(options.cacheMaxEntries);
  const nowSeconds = () => now() / 1000;

  function verifySlowly(token: string) {
    const { header, payload, key } = openJws(token, keys.find);
    if (header.typ !== TYP) throw new Error('typ');
    const claims = parseStrictJson(payload);
    if (claims['iss'] !== issuer) throw new Error('iss');
    if (claims['aud'] !== audience) throw new Error('aud');
    return { key, claims: readClaims(claims, nowSeconds(), leewaySeconds) };
  }

  function sign(own: Readonly<Record<string, unknown>>) {
    const iat = Math.floor(nowSeconds());
    const claims = { iss: issuer, aud: audience, ...own, jti: randomUUID(), iat, exp: iat + ttlSeconds };
    return { token: signJws(claims, TYP, keys.signing()), expiresInSeconds: ttlSeconds };
  }

  return {
    issue: (user, sid) => sign({ sub: user.id, sid, ver: user.sessionVersion, role: user.role }),
    issueToService: (id, scopes) => sign({ sub: id, sid: id, ver: 0, role: 'user', client_id: id, scope: scopes.join(' ') }),

    verify(token) {
      if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARS) throw invalidToken();
      const seconds = nowSeconds();
      const known = verified.get(token);
      // The key must still be good: a key that is withdrawn takes what it signed with it.
      if (known !== undefined && seconds < known.value.exp && keys.find(known.key.kid) === known.key) return known.value;
      try {
        const { claims, key } = verifySlowly(token);
        if (seconds < claims.exp) verified.set(token, claims, key);
        return claims;
      } catch (error) {
        throw invalidToken(error);
      }
    },
  };
}

/** One answer for every reason: what exactly was wrong helps only who forges. */
export function invalidToken(cause?: unknown) {
  const problem = problems.unauthorized(
    'invalid_token',
    'The access token is missing, malformed, expired or revoked.',
    'error="invalid_token"',
  );
  problem.cause = cause;
  return problem;
}

function readClaims(claims: Record<string, unknown>, nowSeconds: number, leewaySeconds: number): AccessClaims {
  const exp = integer(claims, 'exp');
  const iat = integer(claims, 'iat');
  const nbf = claims['nbf'] === undefined ? iat : integer(claims, 'nbf');
  if (nowSeconds >= exp + leewaySeconds) throw new Error('expired');
  if (iat > nowSeconds + leewaySeconds || nbf > nowSeconds + leewaySeconds || exp <= iat) throw new Error('not valid yet');
  const { role } = claims;
  if (!isRole(role)) throw new Error('role');
  const scope = claims['scope'];
  if (scope !== undefined && typeof scope !== 'string') throw new Error('scope');
  return Object.freeze({
    ...(scope === undefined ? {} : { scope }),
    sub: id(claims, 'sub'),
    sid: id(claims, 'sid'),
    ver: integer(claims, 'ver'),
    role,
    jti: id(claims, 'jti'),
    iat,
    exp,
  });
}

function integer(claims: Record<string, unknown>, name: string): number {
  const value = claims[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Error(name);
  return value;
}

function id(claims: Record<string, unknown>, name: string): string {
  const value = claims[name];
  if (typeof value !== 'string' || value === '' || value.length > MAX_ID_CHARS) throw new Error(name);
  return value;
}
