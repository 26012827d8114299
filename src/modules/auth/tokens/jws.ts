import { isUtf8 } from 'node:buffer';
import { sign as signBytes, verify as verifyBytes } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { ALGORITHMS, type Algorithm, type SigningKey, type VerificationKey } from '../keys/keys';

/** The tokens of this service have at most 1 KB. */
export const MAX_TOKEN_CHARS = 4096;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const KID = /^[A-Za-z0-9._@-]{1,128}$/;
/**
 * Other members are refused, above all `jwk`, `jku`, `x5u`, `x5c` (keys in the token itself) and
 * `crit`, `b64`, `zip`.
 */
const HEADER_MEMBERS = new Set(['alg', 'kid', 'typ']);
const ED25519_SIGNATURE_BYTES = 64;

interface JwsHeader {
  readonly alg: Algorithm;
  readonly kid: string;
  readonly typ: string | undefined;
}

export interface OpenedJws {
  readonly header: JwsHeader;
  readonly payload: Buffer;
  readonly key: VerificationKey;
}

class JwsError extends Error {
  override readonly name = 'JwsError';
}

export function signJws(
  claims: Readonly<Record<string, unknown>>,
  typ: string,
  signing: SigningKey,
): string {
  const header = { alg: signing.alg, typ, kid: signing.kid };
  if (signing.alg !== 'EdDSA')
    return jwt.sign(claims, signing.key, { algorithm: signing.alg, header });
  // jsonwebtoken knows no EdDSA (RFC 8037); the compact form is small enough to make here.
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signBytes(null, Buffer.from(input), signing.key).toString('base64url')}`;
}

/**
 * Checks a compact JWS (RFC 7515 §5.2) and gives back its payload. Stricter than the RFC where
 * leniency has been abused: one key per kid with one algorithm, canonical base64url, no duplicate
 * or unknown header members. Throws JwsError for every reason alike.
 */
export function openJws(
  token: string,
  find: (kid: string) => VerificationKey | undefined,
): OpenedJws {
  if (typeof token !== 'string' || token.length > MAX_TOKEN_CHARS || !COMPACT.test(token))
    throw new JwsError('not a compact JWS');
  const [first, second, third] = token.split('.') as [string, string, string];
  const header = readHeader(decode(first));
  const payload = decode(second);
  const signature = decode(third);
  const key = find(header.kid);
  if (key === undefined) throw new JwsError('unknown kid');
  if (key.alg !== header.alg) throw new JwsError('the key is for another algorithm');
  if (!isSignedBy(token, `${first}.${second}`, signature, key))
    throw new JwsError('wrong signature');
  return { header, payload, key };
}

function isSignedBy(
  token: string,
  input: string,
  signature: Buffer,
  { alg, key }: VerificationKey,
): boolean {
  if (alg === 'EdDSA') {
    return (
      signature.length === ED25519_SIGNATURE_BYTES &&
      verifyBytes(null, Buffer.from(input), key, signature)
    );
  }
  try {
    // Times are claims, and claims are checked in one place for every algorithm (tokens.ts).
    jwt.verify(token, key, { algorithms: [alg], ignoreExpiration: true, ignoreNotBefore: true });
    return true;
  } catch {
    return false;
  }
}

/** Maximum number of cached headers: all tokens of one key have the same header. */
const MAX_HEADERS = 100;

/**
 * Returns a function that reads the kid of an unverified token; undefined when it is not a valid
 * JWS of this service.
 */
export function createKidReader(): (token: string) => string | undefined {
  const cache = new Map<string, string>();
  return (token) => {
    const first = token.slice(0, Math.min(token.indexOf('.'), MAX_TOKEN_CHARS));
    const kid = cache.get(first);
    if (kid !== undefined) return kid;
    try {
      const header = readHeader(decode(first));
      if (cache.size >= MAX_HEADERS) cache.clear();
      cache.set(first, header.kid);
      return header.kid;
    } catch {
      return undefined;
    }
  };
}

function readHeader(bytes: Buffer): JwsHeader {
  const header = parseStrictJson(bytes);
  if (!Object.keys(header).every((name) => HEADER_MEMBERS.has(name)))
    throw new JwsError('a header member that is not accepted');
  const { alg, kid, typ } = header;
  const algorithm = ALGORITHMS.find((known) => known === alg);
  if (algorithm === undefined) throw new JwsError('an algorithm that is not accepted');
  if (typeof kid !== 'string' || !KID.test(kid)) throw new JwsError('kid');
  if (typ !== undefined && typeof typ !== 'string') throw new JwsError('typ');
  return { alg: algorithm, kid, typ };
}

/**
 * A JSON object without duplicate members. JSON.parse silently keeps the last duplicate, so the
 * text is compared with its canonical form; only white space between tokens may differ.
 */
export function parseStrictJson(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw new JwsError('not UTF-8');
  const text = bytes.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new JwsError('not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new JwsError('not a JSON object');
  const canonical = JSON.stringify(value);
  if (text !== canonical && withoutSpace(text) !== canonical)
    throw new JwsError('duplicate members or unusual JSON');
  return value as Record<string, unknown>;
}

const withoutSpace = (text: string) => text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');

/**
 * base64url with no second spelling of the same bytes (RFC 7515 §2; unused bits must be zero, RFC
 * 4648 §3.5).
 */
function decode(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw new JwsError('not canonical base64url');
  return bytes;
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
