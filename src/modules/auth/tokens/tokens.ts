import { randomUUID } from 'node:crypto';
import { Problem } from '../../../kernel/errors';
import type { Role } from '../../../kernel/permissions';
import type { KeyRing } from '../keys/keys';
import { invalidToken } from '../problems';
import { acrOf } from '../sessions/authentication';
import { type AccessClaims, type ActorClaim, numericDate, readClaims } from './claims';
import { MAX_TOKEN_CHARS, openJws, parseStrictJson, signJws } from './jws';
import type { SessionAuth } from './session-auth';
import { createVerifiedCache } from './verified-cache';

interface TokenSubject {
  /** The JSON that clients see. */
  readonly body?: Buffer;
  readonly id: string;
  readonly role: Role;
  readonly sessionVersion: number;
  readonly emailVerified: boolean;
}

interface IssuedToken {
  readonly token: string;
  /** The `jti`. */
  readonly tokenId: string;
  readonly expiresInSeconds: number;
}

export interface Tokens {
  issue(user: TokenSubject, sid: string, session?: SessionAuth): IssuedToken;
  /** For the actor, who acts as the user (RFC 8693). `sid` is of this token alone. */
  issueToActor(user: TokenSubject, sid: string, act: ActorClaim, until: Date): IssuedToken;
  /** For a service account, which has no session. */
  issueToService(
    account: { readonly id: string; readonly tokenVersion: number },
    scopes: readonly string[],
  ): IssuedToken;
  /**
   * Checks signature, claims and times. The caller checks revocation (authenticate.ts): the result
   * of this check is cached, a revocation must not be. Throws 401 `token_expired` for an expired
   * token, and 401 `invalid_token` for every other fault.
   */
  verify(token: string): AccessClaims;
}

export interface TokenOptions {
  readonly keys: KeyRing;
  readonly issuer: string;
  readonly audience: string;
  /** The `client_id` of users' tokens. */
  readonly clientId: string;
  readonly ttlSeconds: number;
  /** Claims that the settings add to users' tokens. None replaces one of the others. */
  readonly claimsOf?: (user: TokenSubject) => Readonly<Record<string, unknown>>;
  /** The largest accepted difference between the clocks of the issuer and this host. */
  readonly leewaySeconds: number;
  /** Size of the cache of verified tokens; 0 disables it. */
  readonly cacheMaxEntries: number;
  /** Wall clock in ms since the epoch. */
  readonly now: () => number;
}

/** RFC 9068 §2.1: other JWTs of the same issuer (ID tokens) are not access tokens. */
const TYP = 'at+jwt';

export function createTokens(options: TokenOptions): Tokens {
  const { keys, issuer, audience, clientId, ttlSeconds, leewaySeconds, now } = options;
  const verified = createVerifiedCache<AccessClaims>(options.cacheMaxEntries);
  const nowSeconds = () => now() / 1000;

  function verifyUncached(token: string) {
    const { header, payload, key } = openJws(token, keys.find);
    if (header.typ !== TYP) throw new Error('typ');
    const claims = parseStrictJson(payload);
    if (claims['iss'] !== issuer) throw new Error('iss');
    if (claims['aud'] !== audience) throw new Error('aud');
    return { key, claims: readClaims(claims, nowSeconds(), leewaySeconds) };
  }

  function sign(own: Readonly<Record<string, unknown>>, until?: Date): IssuedToken {
    const iat = Math.floor(nowSeconds());
    const exp =
      until === undefined ? iat + ttlSeconds : Math.min(iat + ttlSeconds, numericDate(until));
    const jti = randomUUID();
    const claims = { iss: issuer, aud: audience, ...own, jti, iat, exp };
    return {
      tokenId: jti,
      token: signJws(claims, TYP, keys.signing()),
      expiresInSeconds: Math.max(0, exp - iat),
    };
  }

  /** `more` stands between the session and the role. */
  const claimsOf = (user: TokenSubject, sid: string, more: object) => {
    const session = { sub: user.id, client_id: clientId, sid, ver: user.sessionVersion };
    const shown = { role: user.role, email_verified: user.emailVerified };
    return { ...options.claimsOf?.(user), ...session, ...more, ...shown };
  };

  return {
    issue(user, sid, session) {
      const auth = session === undefined ? {} : authClaims(session);
      return sign(claimsOf(user, sid, auth), session?.until);
    },
    issueToActor: (user, sid, act, until) => sign(claimsOf(user, sid, { act }), until),
    issueToService: ({ id, tokenVersion }, scopes) =>
      sign({ sub: id, client_id: id, ver: tokenVersion, scope: scopes.join(' ') }),

    verify(token) {
      if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARS) throw invalidToken();
      const seconds = nowSeconds();
      const known = verified.get(token);
      // The key must still be in the key set: removing it revokes the tokens that it signed.
      if (
        known !== undefined &&
        seconds < known.value.exp &&
        keys.find(known.key.kid) === known.key
      )
        return known.value;
      try {
        const { claims, key } = verifyUncached(token);
        if (seconds < claims.exp) verified.set(token, claims, key);
        return claims;
      } catch (error) {
        throw error instanceof Problem ? error : invalidToken(error);
      }
    },
  };
}

/** RFC 9068 §2.2.1. */
const authClaims = ({ signedInAt, amr }: SessionAuth) => ({
  auth_time: numericDate(signedInAt),
  acr: acrOf(amr),
  amr,
});
