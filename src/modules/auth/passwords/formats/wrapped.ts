import { createHash } from 'node:crypto';
import bcrypt from 'bcrypt';
import { BCRYPT_MAX_COST, BCRYPT_MIN_COST } from '../password-rules';
import { decodeSalt, encodeB64, type PhcString, parseUnversioned, wholeNumber } from './phc';
import { assertWithin, isText, malformed, type StoredHash, unsupported } from './stored-hash';

/** Digests that a graphics card tries by the billion a second, and their bytes. */
export const WEAK_DIGEST_BYTES = { md5: 16, sha1: 20, sha256: 32 } as const;
export type WeakAlgorithm = keyof typeof WEAK_DIGEST_BYTES;

/** A digest of `salt password`, `password salt` or the password alone. */
export interface WeakHash {
  readonly algorithm: WeakAlgorithm;
  readonly digest: Buffer;
  readonly salt?: Buffer | undefined;
  /** Where the salt is. `suffix` unless given. */
  readonly saltPosition?: 'prefix' | 'suffix' | undefined;
}

/**
 * bcrypt of the digest's lower-case hex: `$bcrypt-sha1-hex$r=12,suffix=SALT$` with bcrypt's own
 * salt and digest. The names differ from passlib's `$bcrypt-sha256$`, which is another
 * construction.
 */
export async function wrapWeak(weak: WeakHash, cost: number): Promise<string> {
  return wrappedText(weak, await bcrypt.hash(weak.digest.toString('hex'), cost));
}

/** Blocks the thread for the time of a bcrypt: for worker threads. */
export function wrapWeakSync(weak: WeakHash, cost: number): string {
  return wrappedText(weak, bcrypt.hashSync(weak.digest.toString('hex'), cost));
}

/** `bcryptText`: the bcrypt hash of the weak digest in lower-case hex. */
export function wrappedText(
  { algorithm, salt, saltPosition = 'suffix' }: Omit<WeakHash, 'digest'>,
  bcryptText: string,
): string {
  const [, , cost, digits = ''] = bcryptText.split('$');
  const salted = salt === undefined || salt.length === 0;
  const weakSalt = salted ? '' : `,${saltPosition}=${encodeB64(salt)}`;
  const parameters = `r=${Number(cost)}${weakSalt}`;
  return `$bcrypt-${algorithm}-hex$${parameters}$${digits.slice(0, 22)}$${digits.slice(22)}`;
}

export function parseWrapped(text: string): StoredHash {
  const phc = parseUnversioned(text);
  const algorithm = algorithmOf(phc);
  const [[first, rounds] = ['', ''], salted, ...more] = phc.parameters;
  if (first !== 'r' || more.length > 0) throw malformed('must have the parameter r, and a salt');
  const cost = wholeNumber('r', rounds);
  assertWithin('a bcrypt cost (r)', cost, BCRYPT_MIN_COST, BCRYPT_MAX_COST);
  const { prefix, suffix } = saltsOf(salted);
  const hash = `$2b$${String(cost).padStart(2, '0')}$${phc.salt}${phc.digest}`;
  if (!/^.{7}[./A-Za-z0-9]{53}$/.test(hash) || phc.salt.length !== 22)
    throw malformed('must have a salt and a digest of bcrypt');
  return {
    text,
    parameters: `$${phc.id}$r=${cost}`,
    rounds: 2 ** cost,
    accepts: isText,
    matches(password) {
      const weak = createHash(algorithm).update(prefix).update(password, 'utf8').update(suffix);
      return bcrypt.compare(weak.digest('hex'), hash);
    },
  };
}

function algorithmOf({ id }: PhcString): WeakAlgorithm {
  const algorithm = /^bcrypt-(md5|sha1|sha256)-hex$/.exec(id)?.[1];
  if (algorithm === undefined) throw unsupported('must wrap MD5, SHA-1 or SHA-256');
  return algorithm as WeakAlgorithm;
}

function saltsOf(salted: readonly [string, string] | undefined) {
  const none = Buffer.alloc(0);
  if (salted === undefined) return { prefix: none, suffix: none };
  const [position, text] = salted;
  const salt = decodeSalt(text);
  if (position === 'prefix') return { prefix: salt, suffix: none };
  if (position === 'suffix') return { prefix: none, suffix: salt };
  throw malformed('must have its salt as prefix or suffix');
}
