import { hash } from 'node:crypto';
import { readClaims, type SignedToken } from './claims.js';
import { invalidToken, VerifierError } from './errors.js';
import type { FetchJson } from './http.js';
import { createJwks, type Jwks } from './jwks.js';
import type { Settings } from './options.js';

export interface Signatures {
  /** Throws `invalid_token`, `expired_token` or `keys_unavailable`. */
  verify(token: string): SignedToken | Promise<SignedToken>;
  /** Resolves when the keys were read. */
  ready(): Promise<void>;
}

/** Never `none`, and no shared secret: the verifier could then also sign. */
const ALGORITHMS = ['ES256', 'EdDSA', 'RS256'];
/** Tokens of this service have at most 1 KB. */
const MAX_TOKEN_CHARS = 4096;
/** The library takes white space as well; the service does not. */
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** A key that is no longer published has gone from everywhere after this. */
const CACHE_SECONDS = 300;

interface Known extends SignedToken {
  readonly untilSeconds: number;
}

/** Verifies signatures and claims (RFC 9068 §4) by the published keys. Results are cached. */
export function createSignatures(
  settings: Settings,
  fetchJson: FetchJson,
  signal: AbortSignal,
): Signatures {
  const { issuer, audience, clockToleranceSeconds, maxCachedTokens } = settings;
  const jwks: Jwks = createJwks(settings, fetchJson, signal);
  const known = new Map<string, Known>();

  async function verify(token: string, digest: string): Promise<SignedToken> {
    const { jose, keys } = await jwks.get();
    const nowSeconds = Date.now() / 1000;
    const signed = await verified();
    if (maxCachedTokens > 0) remember(digest, signed, nowSeconds);
    return signed;

    async function verified(): Promise<SignedToken> {
      try {
        const { payload, protectedHeader } = await jose.jwtVerify(token, keys, {
          ...{ issuer, audience, algorithms: ALGORITHMS, typ: 'at+jwt' },
          clockTolerance: clockToleranceSeconds,
          requiredClaims: ['exp', 'iat'],
        });
        const claims = readClaims(payload, nowSeconds + clockToleranceSeconds);
        return { claims, kid: protectedHeader.kid ?? '' };
      } catch (error) {
        if (error instanceof jose.errors.JWTExpired)
          throw new VerifierError('expired_token', 'The access token has expired.', error);
        if (!jwks.isUnavailable(error)) throw invalidToken(error);
        throw new VerifierError('keys_unavailable', 'The keys could not be read.', error);
      }
    }
  }

  function remember(digest: string, signed: SignedToken, nowSeconds: number): void {
    const untilSeconds = Math.min(signed.claims.exp, nowSeconds + CACHE_SECONDS);
    if (untilSeconds <= nowSeconds) return;
    if (known.size >= maxCachedTokens) {
      const [first] = known.keys();
      if (first !== undefined) known.delete(first);
    }
    known.set(digest, { ...signed, untilSeconds });
  }

  return {
    ready: async () => {
      await jwks.get();
    },
    verify(token) {
      if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARS) throw invalidToken();
      // By its digest: a heap dump holds no token that could be used.
      const digest = hash('sha256', token, 'base64');
      const one = known.get(digest);
      if (one !== undefined && Date.now() / 1000 < one.untilSeconds) return one;
      if (!COMPACT_JWS.test(token)) throw invalidToken();
      return verify(token, digest);
    },
  };
}
