import {
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { keyedDigest, sha256 } from '../../../kernel/crypto/digest';
import type { Closable } from '../../../kernel/lifecycle';

/** The JWS algorithms (RFC 7518 §3.1, RFC 8037 §3.1) that are ever signed with or accepted. */
export const ALGORITHMS = ['HS256', 'ES256', 'EdDSA', 'RS256'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export type KeySetAlgorithm = Exclude<Algorithm, 'HS256'>;

/** A key and its only algorithm. The KeyObject is created once, never per request. */
export interface VerificationKey {
  readonly kid: string;
  readonly alg: Algorithm;
  /** Public, or secret for HS256. */
  readonly key: KeyObject;
}

export interface SigningKey {
  readonly kid: string;
  readonly alg: Algorithm;
  /** Private, or secret for HS256. */
  readonly key: KeyObject;
}

/** A public key as published (RFC 7517), without private members. */
export interface PublicJwk {
  readonly kid: string;
  readonly kty: string;
  readonly alg: Algorithm;
  readonly use: 'sig';
  readonly [member: string]: string;
}

export interface KeyRing extends Closable {
  readonly algorithm: Algorithm;
  /** The key that signs now. Called for every token. */
  signing(): SigningKey;
  /** When the current key began to sign, and when the next one does; absent without rotation. */
  schedule?: () => { readonly activeFromMs: number; readonly nextFromMs: number };
  /**
   * The key, if its tokens are accepted. An unknown kid triggers a refresh in the background, at a
   * limited rate. Throws 503 when the store was unreadable for so long that a key may have been
   * revoked.
   */
  find(kid: string): VerificationKey | undefined;
  /** The content of `/.well-known/jwks.json`; empty for a shared secret. */
  jwks(): { readonly keys: readonly PublicJwk[] };
  /** How long a client may keep `jwks()`: it must learn of a key before the key signs. */
  readonly jwksMaxAgeSeconds: number;
  /**
   * Reads the store now, or joins a read in progress. Resolves true when the set of keys has
   * changed. Never rejects.
   */
  refresh(): Promise<boolean>;
}

const MIN_RSA_BITS = 2048;
const RSA_BITS = 3072;

const generate = promisify(generateKeyPair);

export async function generateSigningKey(alg: KeySetAlgorithm): Promise<KeyObject> {
  if (alg === 'ES256') return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
  if (alg === 'EdDSA') return (await generate('ed25519', {})).privateKey;
  return (await generate('rsa', { modulusLength: RSA_BITS })).privateKey;
}

/** Throws when the key is not fit for the algorithm: its type, curve, size or exponent. */
export function assertFits(alg: Algorithm, key: KeyObject): void {
  if (!fits(alg, key)) throw new Error(`the key does not fit ${alg}`);
}

function fits(alg: Algorithm, key: KeyObject): boolean {
  const { namedCurve, modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {};
  switch (alg) {
    case 'HS256': // RFC 7518 §3.2: a key of the hash's size or larger.
      return key.type === 'secret' && (key.symmetricKeySize ?? 0) >= 32;
    case 'ES256':
      return key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1';
    case 'EdDSA':
      return key.asymmetricKeyType === 'ed25519';
    case 'RS256': // RFC 7518 §3.3: 2048 bits or more.
      return (
        key.asymmetricKeyType === 'rsa' &&
        (modulusLength ?? 0) >= MIN_RSA_BITS &&
        (publicExponent ?? 0n) >= 65537n
      );
  }
}

/** The members that define a public key, in the order that RFC 7638 §3.2 hashes them. */
function essentialMembers(jwk: JsonWebKey): Record<string, string> {
  const names =
    jwk.kty === 'RSA'
      ? ['e', 'kty', 'n']
      : jwk.kty === 'OKP'
        ? ['crv', 'kty', 'x']
        : ['crv', 'kty', 'x', 'y'];
  return Object.fromEntries(
    names.map((name) => {
      const value = jwk[name];
      if (typeof value !== 'string') throw new Error(`a public key without ${name}`);
      return [name, value];
    }),
  );
}

/** Derives the public key and its kid, the RFC 7638 thumbprint: the same on every host. */
export function publicHalf(
  alg: KeySetAlgorithm,
  privateKey: KeyObject,
): { verification: VerificationKey; jwk: PublicJwk } {
  const key = createPublicKey(privateKey);
  assertFits(alg, key);
  const members = essentialMembers(key.export({ format: 'jwk' }));
  const kid = sha256(JSON.stringify(members));
  return {
    verification: { kid, alg, key },
    jwk: { ...members, kty: members['kty'] as string, kid, alg, use: 'sig' },
  };
}

/** One shared secret with HS256, for the simplest deployment. No key is published or rotated. */
export function createSecretKeyRing(secret: string): KeyRing {
  const key = createSecretKey(Buffer.from(secret, 'utf8'));
  assertFits('HS256', key);
  // A keyed digest of a constant: it identifies the secret and does not reveal it.
  const kid = keyedDigest(key, 'kid', 16);
  const only = { kid, alg: 'HS256', key } as const;
  return {
    algorithm: 'HS256',
    signing: () => only,
    find: (wanted) => (wanted === kid ? only : undefined),
    jwks: () => ({ keys: [] }),
    jwksMaxAgeSeconds: 300,
    refresh: async () => false,
    close: async () => {},
  };
}
