import { z } from 'zod';
import { assertCanonicalBcrypt } from './bcrypt';
import { decodeAnyB64, readNativeForm, weakOf } from './native-forms';
import { encodeB64, MAX_HASH_CHARS, parametersText, SALT_MAX_BYTES } from './phc';
import { parseStored, readStored } from './registry';
import { assertWithin, type HashRefusal, HashRefusalError, malformed } from './stored-hash';
import { type WeakHash, wrapWeak, wrapWeakSync } from './wrapped';

const text = (max: number) => z.string().min(1).max(max);
const salted = {
  hash: text(MAX_HASH_CHARS),
  salt: text(128).optional(),
  salt_encoding: z.enum(['utf8', 'hex', 'base64']).optional(),
  salt_position: z.enum(['prefix', 'suffix']).optional(),
};

/** A hash of another system, as a line of an import has it. */
export const foreignHash = z
  .union([
    text(MAX_HASH_CHARS),
    z.strictObject({ hash: text(MAX_HASH_CHARS) }),
    z.strictObject({ algorithm: z.enum(['md5', 'sha1', 'sha256']), ...salted }),
    z.strictObject({
      algorithm: z.literal('firebase-scrypt'),
      hash: text(128),
      salt: text(128),
      signer_key: text(128),
      salt_separator: z.string().max(128),
      rounds: z.int(),
      mem_cost: z.int(),
    }),
  ])
  .meta({
    description:
      'A password hash in the form of its system, or a digest or Firebase hash with its parameters.',
  });

export type ForeignHash = z.infer<typeof foreignHash>;
type FirebaseHash = Extract<ForeignHash, { algorithm: 'firebase-scrypt' }>;
type Digest = Extract<ForeignHash, { algorithm: 'md5' | 'sha1' | 'sha256' }>;

/** `stored`: the value to keep as the account's password hash. */
export type ImportedHash = { readonly stored: string } | { readonly refusal: HashRefusal };

/**
 * Takes over a hash of another system, a `foreignHash`. Weak digests are hashed by bcrypt at
 * `cost`, in libuv's threads and outside the hash queue.
 */
export async function importHash(input: unknown, cost: number): Promise<ImportedHash> {
  const read = readForeign(input);
  return 'weak' in read ? { stored: await wrapWeak(read.weak, cost) } : read;
}

/** The same on this thread, which it blocks for each weak digest: for worker threads. */
export function importHashSync(input: unknown, cost: number): ImportedHash {
  const read = readForeign(input);
  return 'weak' in read ? { stored: wrapWeakSync(read.weak, cost) } : read;
}

/**
 * The PHC string of a stored hash (bcrypt: its own form), which `importHash` takes again.
 * undefined: the account has no password that could be right.
 */
export const exportHash = (stored: string): string | undefined => readStored(stored)?.text;

function readForeign(input: unknown): ImportedHash | { readonly weak: WeakHash } {
  try {
    const parsed = foreignHash.safeParse(input);
    if (!parsed.success) throw malformed('must be a hash, or an object with its parameters');
    const read = formOf(parsed.data);
    if ('weak' in read) {
      assertWithin('a salt in bytes', read.weak.salt?.length ?? 0, 0, SALT_MAX_BYTES);
      return read;
    }
    if (read.text.startsWith('$2')) assertCanonicalBcrypt(read.text);
    return { stored: parseStored(read.text).text };
  } catch (error) {
    if (!(error instanceof HashRefusalError)) throw error;
    return { refusal: { code: error.code, message: error.message } };
  }
}

function formOf(input: ForeignHash) {
  if (typeof input === 'string') return nativeOf(input);
  if (!('algorithm' in input)) return nativeOf(input.hash);
  return input.algorithm === 'firebase-scrypt' ? firebaseOf(input) : { weak: digestOf(input) };
}

function nativeOf(hash: string) {
  if (/^[0-9a-f]{32,128}$/i.test(hash))
    throw new HashRefusalError(
      'hash_algorithm_missing',
      'is a bare digest: name its algorithm (md5, sha1 or sha256)',
    );
  return readNativeForm(hash) ?? { text: hash };
}

function digestOf({ algorithm, hash, salt, salt_encoding, salt_position }: Digest): WeakHash {
  if (salt === undefined) return weakOf(algorithm, hash, {});
  const bytes = Buffer.from(salt, salt_encoding ?? 'utf8');
  const isHex = salt_encoding === 'hex';
  if (isHex && bytes.toString('hex') !== salt.toLowerCase())
    throw malformed('must have a salt in hex');
  if (salt_encoding === 'base64') decodeAnyB64('a salt', salt);
  return weakOf(algorithm, hash, { salt: bytes, saltPosition: salt_position ?? 'suffix' });
}

/** Without the signer key: see `parseFirebaseScrypt`. */
function firebaseOf(input: FirebaseHash) {
  // The command-line tool writes the standard alphabet, the Admin SDK the URL-safe one.
  const bytesOf = (name: string, value: string) =>
    decodeAnyB64(name, value.replaceAll('-', '+').replaceAll('_', '/'));
  const hash = bytesOf('a hash', input.hash);
  const key = bytesOf('a signer key', input.signer_key);
  if (key.length !== hash.length) throw malformed('must be as long as the signer key');
  const keystream = hash.map((byte, at) => byte ^ (key[at] ?? 0));
  const separator =
    input.salt_separator === '' ? '' : bytesOf('a salt separator', input.salt_separator);
  const salt = Buffer.concat([bytesOf('a salt', input.salt), Buffer.from(separator)]);
  const cost = parametersText({ ln: input.mem_cost, r: input.rounds });
  return {
    text: `$firebase-scrypt$${cost}$${encodeB64(salt)}$${encodeB64(Buffer.from(keystream))}`,
  };
}
