import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { sha256 } from '../../../kernel/crypto/digest';

/** RFC 9449 §4.3: asymmetric algorithms only. `Ed25519` is the name of RFC 9864 for EdDSA. */
export const DPOP_ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519', 'PS256', 'RS256'] as const;
export type DpopAlgorithm = (typeof DPOP_ALGORITHMS)[number];

type Members = Readonly<Record<string, string>>;

interface KeyType {
  /** The values that the members of the key must have. */
  readonly fixed: Members;
  /** The other members that the key needs, with their longest values in characters. */
  readonly needs: Readonly<Record<string, number>>;
}

const EC: KeyType = { fixed: { kty: 'EC', crv: 'P-256' }, needs: { x: 43, y: 43 } };
const ED25519: KeyType = { fixed: { kty: 'OKP', crv: 'Ed25519' }, needs: { x: 43 } };
/** At most 4096 bits and an exponent below 2^32: others would cost too much to verify. */
const RSA: KeyType = { fixed: { kty: 'RSA' }, needs: { e: 6, n: 683 } };
const RSA_MIN_BITS = 2048;

const TYPES: Readonly<Record<DpopAlgorithm, KeyType>> = {
  ES256: EC,
  EdDSA: ED25519,
  Ed25519: ED25519,
  PS256: RSA,
  RS256: RSA,
};
/** RFC 7518 §6: the members of private and symmetric keys. */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const BASE64URL = /^[A-Za-z0-9_-]+$/;

export interface PublicJwk {
  readonly key: KeyObject;
  /** RFC 7638. */
  readonly thumbprint: string;
}

/** The public key of a proof's header. Throws for every other key. */
export function readPublicJwk(value: unknown, alg: DpopAlgorithm): PublicJwk {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('jwk is missing');
  const jwk = value as Readonly<Record<string, unknown>>;
  if (PRIVATE.some((name) => Object.hasOwn(jwk, name)))
    throw new Error('jwk must be a public key, without private members');
  const { fixed, needs } = TYPES[alg];
  const isFixed = Object.entries(fixed).every(([name, one]) => jwk[name] === one);
  if (!isFixed) throw new Error(`jwk is not a key for ${alg}`);
  const members: Members = { ...fixed, ...neededOf(jwk, needs) };
  const key = createPublicKey({ key: members as JsonWebKey, format: 'jwk' });
  const bits = key.asymmetricKeyDetails?.modulusLength ?? RSA_MIN_BITS;
  if (bits < RSA_MIN_BITS) throw new Error(`jwk has less than ${RSA_MIN_BITS} bits`);
  return { key, thumbprint: thumbprintOf(members) };
}

function neededOf(jwk: Readonly<Record<string, unknown>>, needs: KeyType['needs']): Members {
  const found = Object.entries(needs).map(([name, maxChars]) => {
    const member = jwk[name];
    if (typeof member !== 'string' || member.length > maxChars || !BASE64URL.test(member))
      throw new Error(`jwk has no valid ${name}`);
    return [name, member] as const;
  });
  return Object.fromEntries(found);
}

/** RFC 7638 §3: the required members in lexicographic order, without white space. */
function thumbprintOf(members: Members): string {
  const names = Object.keys(members).sort();
  return sha256(JSON.stringify(Object.fromEntries(names.map((name) => [name, members[name]]))));
}
