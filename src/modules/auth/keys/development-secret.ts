import { link, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { randomToken } from '../../../kernel/crypto/random';
import { makeFolder } from '../../../kernel/make-folder';

const SECRET_FILE = 'key-encryption.secret';

export const developmentSecretIn = (dataDir: string): string => join(dataDir, SECRET_FILE);

/**
 * For development: one secret per data folder, readable only by its owner. It is written to a draft
 * and linked into place, so that workers that start at the same time all read one complete file.
 */
export async function loadDevelopmentSecret(dataDir: string): Promise<string> {
  const path = developmentSecretIn(dataDir);
  try {
    return await readSecret(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  makeFolder(dataDir);
  const draft = `${path}.${process.pid}.${randomToken(4)}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(randomToken(48));
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
  if (Buffer.byteLength(secret) < 32)
    throw new Error(`${path} holds less than 32 bytes. Remove the file to create a new secret.`);
  return secret;
}
