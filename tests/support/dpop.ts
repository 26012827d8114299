import { randomUUID } from 'node:crypto';
import type { GenerateKeyPairResult, JWK } from 'jose';

type Jose = typeof import('jose');

/** A client's key, and the proofs that it makes with `jose`. */
export interface DpopKey {
  readonly jwk: JWK;
  readonly pair: GenerateKeyPairResult;
  readonly thumbprint: string;
  proof(
    method: string,
    url: string,
    changes?: { header?: object; claims?: object },
  ): Promise<string>;
}

export async function createDpopKey(jose: Jose, alg = 'ES256'): Promise<DpopKey> {
  const pair = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(pair.publicKey);
  return {
    jwk,
    pair,
    thumbprint: await jose.calculateJwkThumbprint(jwk),
    proof: (htm, htu, { header = {}, claims = {} } = {}) => {
      const iat = Math.floor(Date.now() / 1000);
      return new jose.SignJWT({ jti: randomUUID(), htm, htu, iat, ...claims })
        .setProtectedHeader({ typ: 'dpop+jwt', alg, jwk, ...header })
        .sign(pair.privateKey);
    },
  };
}
