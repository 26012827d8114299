import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** AES-256-GCM under a key of its own: HKDF-SHA256 (RFC 5869) of the secret with a fresh salt. */
export interface Sealed {
  readonly salt: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
  readonly data: Buffer;
}

export class SealError extends Error {
  override readonly name = 'SealError';
}

/** `context` is bound to the result: what was sealed for one purpose or row opens for no other. */
export function seal(secret: string | Buffer, context: string, plain: Buffer): Sealed {
  const salt = randomBytes(16);
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', derive(secret, salt, context), iv);
  cipher.setAAD(Buffer.from(context));
  const data = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { salt, iv, tag: cipher.getAuthTag(), data };
}

/** Throws SealError for another secret, another context or changed bytes, without telling which. */
export function unseal(secret: string | Buffer, context: string, sealed: Sealed): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', derive(secret, sealed.salt, context), sealed.iv, { authTagLength: 16 });
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(sealed.tag);
    return Buffer.concat([decipher.update(sealed.data), decipher.final()]);
  } catch (cause) {
    throw new SealError('the sealed value does not open with this secret', { cause });
  }
}

const derive = (secret: string | Buffer, salt: Buffer, context: string) => Buffer.from(hkdfSync('sha256', secret, salt, context, 32));
