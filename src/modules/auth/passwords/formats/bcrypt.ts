import bcrypt from 'bcrypt';
import { BCRYPT_MAX_COST, BCRYPT_MIN_COST, isHashable, normalizePassword } from '../password-rules';
import { assertWithin, malformed, type StoredHash, unsupported } from './stored-hash';

const BCRYPT = /^\$2([a-z]?)\$(\d{2})\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/;

/**
 * `$2b$12$` and 53 characters. `$2a$` is the same for a password of at most 72 bytes, `$2y$` is
 * PHP's name of it. `$2x$` marks hashes of a faulty implementation.
 */
export function parseBcrypt(text: string): StoredHash {
  const [, variant = '', digits = ''] = BCRYPT.exec(text) ?? [];
  if (digits === '') throw malformed('is not a bcrypt hash of 60 characters');
  if (!/^[aby]$/.test(variant)) throw unsupported('must be bcrypt of the variant 2a, 2b or 2y');
  const cost = Number(digits);
  assertWithin('a bcrypt cost', cost, BCRYPT_MIN_COST, BCRYPT_MAX_COST);
  // This library does not know $2y$ and would refuse it at once.
  const known = text.replace(/^\$2y/, '$2b');
  return {
    text,
    parameters: text.slice(0, 7),
    rounds: 2 ** cost,
    accepts: (password) => isHashable(password) && isHashable(normalizePassword(password)),
    matches: (password) => bcrypt.compare(normalizePassword(password), known),
  };
}

const ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/**
 * Refuses bits past the last byte of salt and digest: the library compares spellings, so such a
 * hash would fit no password.
 */
export function assertCanonicalBcrypt(text: string): void {
  const [, , , salt = '', digest = ''] = BCRYPT.exec(text) ?? [];
  const bitsOf = (part: string) => ALPHABET.indexOf(part.at(-1) ?? '');
  if (bitsOf(salt) % 16 !== 0 || bitsOf(digest) % 4 !== 0)
    throw malformed('must have salt and digest in canonical bcrypt Base64');
}
