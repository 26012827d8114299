import { parseArgon2 } from './argon2';
import { parseBcrypt } from './bcrypt';
import { parsePbkdf2 } from './pbkdf2';
import { encodeB64, MAX_HASH_CHARS } from './phc';
import { parseFirebaseScrypt, parseScrypt } from './scrypt';
import { HashRefusalError, malformed, type StoredHash } from './stored-hash';
import { parseWrapped } from './wrapped';

/** Every parser checks its bounds: each parsed hash can be verified within them. */
const PARSERS: readonly (readonly [prefix: RegExp, parse: (text: string) => StoredHash])[] = [
  [/^\$2[a-z]?\$/, parseBcrypt],
  [/^\$argon2/, parseArgon2],
  [/^\$scrypt\$/, parseScrypt],
  [/^\$firebase-scrypt\$/, parseFirebaseScrypt],
  [/^\$pbkdf2-/, parsePbkdf2],
  [/^\$bcrypt-/, parseWrapped],
];

/** Throws HashRefusalError. */
export function parseStored(text: string): StoredHash {
  if (text.length > MAX_HASH_CHARS)
    throw malformed(`must have at most ${MAX_HASH_CHARS} characters`);
  const found = PARSERS.find(([prefix]) => prefix.test(text));
  if (found === undefined)
    throw new HashRefusalError('hash_unknown', 'has no form that this service knows');
  return found[1](text);
}

/** undefined: no password fits it. */
export function readStored(text: string): StoredHash | undefined {
  try {
    return parseStored(text);
  } catch (error) {
    if (error instanceof HashRefusalError) return undefined;
    throw error;
  }
}

/** A hash of these parameters that no known password fits. undefined: they are not valid. */
export function dummyOf(parameters: string): StoredHash | undefined {
  if (parameters.startsWith('$2')) return readStored(`${parameters}${'.'.repeat(53)}`);
  if (parameters.startsWith('$bcrypt-'))
    return readStored(`${parameters}$${'.'.repeat(22)}$${'.'.repeat(31)}`);
  const bytes = Number(/\bl=(\d{1,2})$/.exec(parameters)?.[1] ?? 32);
  return readStored(
    `${parameters}$${encodeB64(Buffer.alloc(16))}$${encodeB64(Buffer.alloc(bytes))}`,
  );
}
