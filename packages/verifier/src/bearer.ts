import type { AccessTokenClaims } from './claims.js';
import { VerifierError } from './errors.js';
import { assertOptions, isFunction } from './option-checks.js';
import type { Verifier } from './verifier.js';

export interface BearerOptions {
  /** Whether a good token may be used here; false answers 403. */
  readonly allow?: (claims: AccessTokenClaims) => boolean | Promise<boolean>;
}

/** At once, and not with the first request: a misspelt `allow` would let everybody in. */
export function assertBearer(whose: string, verifier: Verifier, options: BearerOptions): void {
  if (typeof verifier?.verify !== 'function')
    throw new TypeError(`${whose}: the first argument must be a verifier, of createVerifier`);
  assertOptions(whose, options, { checks: { allow: isFunction } });
}

/** RFC 6750 §2.1. */
function tokenOf(authorization: string | undefined): string {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined)
    throw new VerifierError('missing_token', 'Send an access token: Authorization: Bearer …');
  return token;
}

export async function claimsOf(
  verifier: Verifier,
  authorization: string | undefined,
  { allow }: BearerOptions,
): Promise<AccessTokenClaims> {
  const claims = await verifier.verify(tokenOf(authorization));
  if (allow !== undefined && !(await allow(claims)))
    throw new VerifierError('insufficient_scope', 'The access token may not be used for this.');
  return claims;
}

export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** RFC 9457. */
  readonly body: string;
}

const TITLES = { 401: 'Unauthorized', 403: 'Forbidden', 503: 'Service unavailable' } as const;

export function refusalOf({ code, status, message }: VerifierError): Refusal {
  const problem = { type: 'about:blank', title: TITLES[status], status, detail: message, code };
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(status === 503 ? { 'retry-after': '1' } : { 'www-authenticate': challengeOf(code) }),
    },
    body: JSON.stringify(problem),
  };
}

/** RFC 6750 §3.1: without a token the challenge names no error. */
function challengeOf(code: VerifierError['code']): string {
  if (code === 'missing_token') return 'Bearer';
  return `Bearer error="${code === 'insufficient_scope' ? code : 'invalid_token'}"`;
}
