import { createHmac, sign } from 'node:crypto';
import {
  type Algorithm,
  createSecretKeyRing,
  generateSigningKey,
  type KeyRing,
  type KeySetAlgorithm,
  publicHalf,
} from '../../src/modules/auth/keys/keys';

const SECRET = 'Zb1!qP7#vX0$kL9&mN3*wR5(tY8)uI2_';

/** A key ring with one fixed key. */
export async function ringOf(alg: Algorithm): Promise<KeyRing> {
  if (alg === 'HS256') return createSecretKeyRing(SECRET);
  return ringWith(alg);
}

export async function ringWith(alg: KeySetAlgorithm): Promise<KeyRing> {
  const key = await generateSigningKey(alg);
  const { verification, jwk } = publicHalf(alg, key);
  return {
    algorithm: alg,
    signing: () => ({ kid: verification.kid, alg, key }),
    find: (kid) => (kid === verification.kid ? verification : undefined),
    jwks: () => ({ keys: [jwk] }),
    jwksMaxAgeSeconds: 60,
    refresh: async () => false,
    close: async () => {},
  };
}

export const b64 = (value: string | Buffer) => Buffer.from(value).toString('base64url');
const text = (value: unknown) =>
  typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value);

/** Signs any input with the ring's key, regardless of the header. */
export function signWith(ring: KeyRing, input: string): string {
  const { alg, key } = ring.signing();
  const data = Buffer.from(input);
  if (alg === 'HS256') return createHmac('sha256', key).update(data).digest('base64url');
  if (alg === 'EdDSA') return sign(null, data, key).toString('base64url');
  return sign('sha256', data, alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key).toString(
    'base64url',
  );
}

/**
 * A compact JWS with any header and payload (objects, or raw text and bytes), correctly signed by
 * the ring.
 */
export function forge(ring: KeyRing, header: unknown, payload: unknown): string {
  const input = `${b64(text(header))}.${b64(text(payload))}`;
  return `${input}.${signWith(ring, input)}`;
}
