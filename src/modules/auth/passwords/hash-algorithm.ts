import bcrypt from 'bcrypt';
import { type Argon2Cost, argon2Parameters, hashArgon2, hashArgon2Sync } from './formats/argon2';
import { readStored } from './formats/registry';
import { isText } from './formats/stored-hash';
import { isHashable, normalizePassword, type PasswordKind } from './password-rules';

/** How new passwords are hashed (PASSWORD_HASH). Plain data: threads get it in a message. */
export type HashSettings =
  | { readonly kind: 'bcrypt'; readonly cost: number }
  | ({ readonly kind: 'argon2id' } & Argon2Cost);

export interface HashAlgorithm {
  readonly kind: PasswordKind;
  /** The part of a new hash that decides the work of a check. */
  readonly parameters: string;
  hash(password: string): Promise<string>;
  /** Blocks the thread for the time of the hash: for worker threads. */
  hashSync(password: string): string;
  /** Whether a new hash would have the same form and cost as this one. */
  isCurrent(hash: string): boolean;
  /** Whether the algorithm uses every byte of the password. */
  accepts(password: string): boolean;
}

export function createHashAlgorithm(settings: HashSettings): HashAlgorithm {
  return settings.kind === 'bcrypt' ? bcryptOf(settings.cost) : argon2idOf(settings);
}

function bcryptOf(cost: number): HashAlgorithm {
  return {
    kind: 'bcrypt',
    parameters: `$2b$${String(cost).padStart(2, '0')}$`,
    hash: (password) => bcrypt.hash(normalizePassword(password), cost),
    hashSync: (password) => bcrypt.hashSync(normalizePassword(password), cost),
    isCurrent: (hash) => hash.startsWith('$2b$') && readStored(hash)?.rounds === 2 ** cost,
    accepts: (password) => isHashable(password) && isHashable(normalizePassword(password)),
  };
}

function argon2idOf(cost: Argon2Cost): HashAlgorithm {
  const parameters = argon2Parameters(cost);
  return {
    kind: 'argon2id',
    parameters,
    hash: (password) => hashArgon2(normalizePassword(password), cost),
    hashSync: (password) => hashArgon2Sync(normalizePassword(password), cost),
    isCurrent: (hash) => readStored(hash)?.parameters === parameters,
    accepts: isText,
  };
}
