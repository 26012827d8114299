import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

/** AES-256-GCM under a key of its own: HKDF-SHA256 (RFC 5869) of the secret with a fresh salt. */
export interface Encrypted {
  readonly salt: Buffer;
  readonly iv: Buffer;
  readonly tag: Buffer;
  readonly data: Buffer;
  /** The same, encrypted with a second secret, while hosts change from one secret to another. */
  readonly also?: Encrypted;
}

/** The current secret first, then previous ones that are still accepted. */
export type Secrets = readonly [string, ...string[]];

export class DecryptionError extends Error {
  override readonly name = 'DecryptionError';
}

/** `context` is authenticated: a value of one purpose or row does not decrypt for another. */
export function encrypt(secret: string | Buffer, context: string, plain: Buffer): Encrypted {
  const salt = randomBytes(16);
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', derive(secret, salt, context), iv);
  cipher.setAAD(Buffer.from(context));
  const data = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { salt, iv, tag: cipher.getAuthTag(), data };
}

/**
 * Any one of the secrets decrypts the result. The oldest comes first: hosts that have only it look
 * there.
 */
export function encryptForAll(secrets: Secrets, context: string, plain: Buffer): Encrypted {
  return secrets
    .map((secret) => encrypt(secret, context, plain))
    .reduce((also, encrypted) => ({ ...encrypted, also }));
}

/** Tries every secret. Throws DecryptionError when none decrypts the value. */
export function decryptWithAny(secrets: Secrets, context: string, encrypted: Encrypted): Buffer {
  for (let one: Encrypted | undefined = encrypted; one !== undefined; one = one.also) {
    for (const secret of secrets) {
      try {
        return decrypt(secret, context, one);
      } catch (error) {
        if (!(error instanceof DecryptionError)) throw error;
      }
    }
  }
  throw new DecryptionError('none of the secrets decrypts the value');
}

/** Throws DecryptionError for another secret, another context or changed bytes alike. */
export function decrypt(secret: string | Buffer, context: string, encrypted: Encrypted): Buffer {
  try {
    const decipher = createDecipheriv(
      'aes-256-gcm',
      derive(secret, encrypted.salt, context),
      encrypted.iv,
      { authTagLength: 16 },
    );
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(encrypted.tag);
    return Buffer.concat([decipher.update(encrypted.data), decipher.final()]);
  } catch (cause) {
    throw new DecryptionError('this secret does not decrypt the value', { cause });
  }
}

const derive = (secret: string | Buffer, salt: Buffer, context: string) =>
  Buffer.from(hkdfSync('sha256', secret, salt, context, 32));
