import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';

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

const SECRET_FILE = 'key-encryption.secret';

/**
 * For development: one secret per data folder, readable by its owner alone. Written aside and linked into place, so
 * that of several workers starting at once one wins and all read the same whole file.
 */
export async function loadDevelopmentSecret(dataDir: string): Promise<string> {
  const path = join(dataDir, SECRET_FILE);
  try {
    return await readSecret(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await mkdir(dataDir, { recursive: true });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(randomBytes(48).toString('base64'));
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(draft);
  }
  return readSecret(path);
}

async function readSecret(path: string): Promise<string> {
  const secret = (await readFile(path, 'utf8')).trim();
  if (Buffer.byteLength(secret) < 32) throw new Error(`${path} holds less than 32 bytes: remove it to have a new one made`);
  return secret;
}
