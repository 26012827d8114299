import { isUtf8 } from 'node:buffer';
import { constants, verify } from 'node:crypto';
import { DPOP_ALGORITHMS, type DpopAlgorithm, type PublicJwk, readPublicJwk } from './public-jwk';

/** The request and token that a proof must be for. */
export interface ProofTarget {
  readonly method: string;
  /** Without query and fragment. */
  readonly url: string;
  readonly nowSeconds: number;
  /** Most seconds between `iat` and now, before and after. */
  readonly windowSeconds: number;
}

export interface VerifiedProof {
  /** RFC 7638 thumbprint of the key. */
  readonly jkt: string;
  readonly jti: string;
  /** Seconds since the epoch. */
  readonly iat: number;
}

/** The message tells the developer of a client which rule its proof breaks. */
export class ProofError extends Error {
  override readonly name = 'ProofError';
}

/** A proof with an RSA key of 4096 bits has 1.9 KB. */
const MAX_CHARS = 4096;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const MAX_JTI_CHARS = 256;

/** RFC 9449 §4.3, without an access token. Throws ProofError. */
export function verifyProof(text: string, target: ProofTarget): VerifiedProof {
  if (text.length > MAX_CHARS) throw new ProofError(`it is longer than ${MAX_CHARS} characters`);
  if (!COMPACT.test(text)) throw new ProofError('it is not one compact JWS');
  const [first, second, third] = text.split('.') as [string, string, string];
  const { alg, key, thumbprint } = readHeader(objectOf(first));
  const signature = Buffer.from(third, 'base64url');
  if (!isSignedBy(alg, Buffer.from(`${first}.${second}`), key, signature))
    throw new ProofError('its signature is wrong');
  return { jkt: thumbprint, ...readPayload(objectOf(second), target) };
}

function readHeader(
  header: Readonly<Record<string, unknown>>,
): PublicJwk & { readonly alg: DpopAlgorithm } {
  if (header['typ'] !== 'dpop+jwt') throw new ProofError('its typ is not dpop+jwt');
  if (header['crit'] !== undefined) throw new ProofError('it has crit');
  const alg = DPOP_ALGORITHMS.find((known) => known === header['alg']);
  if (alg === undefined)
    throw new ProofError(`its alg is not one of ${DPOP_ALGORITHMS.join(', ')}`);
  try {
    return { alg, ...readPublicJwk(header['jwk'], alg) };
  } catch (error) {
    // An error of the crypto library has a code, and its message is about its internals.
    const isOurs = error instanceof Error && !('code' in error);
    throw new ProofError(`its ${isOurs ? error.message : 'jwk is not a valid key'}`);
  }
}

function readPayload(
  { jti, htm, htu, iat }: Readonly<Record<string, unknown>>,
  { method, url, nowSeconds, windowSeconds }: ProofTarget,
): Omit<VerifiedProof, 'jkt'> {
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_CHARS)
    throw new ProofError('it has no valid jti');
  if (htm !== method) throw new ProofError(`its htm is not ${method}`);
  if (typeof htu !== 'string' || !isSameUrl(htu, url))
    throw new ProofError(`its htu is not ${url}`);
  if (typeof iat !== 'number' || !(Math.abs(nowSeconds - iat) <= windowSeconds))
    throw new ProofError(
      `its iat is more than ${windowSeconds} s from the time of this service; see the header Date`,
    );
  return { jti, iat };
}

/** RFC 9449 §4.3: after normalization (RFC 3986 §6.2), without query and fragment. */
function isSameUrl(htu: string, url: string): boolean {
  if (!URL.canParse(htu)) return false;
  const [given, expected] = [new URL(htu), new URL(url)];
  return (
    given.origin === expected.origin &&
    given.pathname === expected.pathname &&
    given.username === '' &&
    given.password === ''
  );
}

function objectOf(part: string): Readonly<Record<string, unknown>> {
  const bytes = Buffer.from(part, 'base64url');
  try {
    const value: unknown = isUtf8(bytes) ? JSON.parse(bytes.toString('utf8')) : undefined;
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below.
  }
  throw new ProofError('it is not a JWT');
}

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };

function isSignedBy(
  alg: DpopAlgorithm,
  input: Buffer,
  key: PublicJwk['key'],
  signature: Buffer,
): boolean {
  switch (alg) {
    case 'ES256':
      return verify('sha256', input, { key, dsaEncoding: 'ieee-p1363' }, signature);
    case 'PS256':
      return verify('sha256', input, { key, ...PSS }, signature);
    case 'RS256':
      return verify('sha256', input, key, signature);
    default:
      return verify(null, input, key, signature);
  }
}
