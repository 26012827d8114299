import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { decodeDigest, decodeSalt, isSameDigest, numbersOf, parseUnversioned } from './phc';
import { assertWithin, isText, malformed, type StoredHash, unsupported } from './stored-hash';

/** RFC 8018 §4.2 asks for at least 1000. Fewer are hardly more than a plain digest. */
const MIN_ITERATIONS = 1000;
/** Iterations times blocks: the time of a check. Django's default of 2026 is 1,200,000. */
const MAX_ITERATIONS = 5_000_000;

/** Hash functions, and the bytes of their digests. */
const HASHES: Readonly<Record<string, readonly [name: string, bytes: number]>> = {
  'pbkdf2-sha1': ['sha1', 20],
  'pbkdf2-sha256': ['sha256', 32],
  'pbkdf2-sha512': ['sha512', 64],
};

const derive = promisify(pbkdf2);

/** `$pbkdf2-sha256$i=600000,l=32$salt$digest` (RFC 8018); `l` is the length of the digest. */
export function parsePbkdf2(text: string): StoredHash {
  const phc = parseUnversioned(text);
  const found = HASHES[phc.id];
  if (found === undefined) throw unsupported('must be PBKDF2 with SHA-1, SHA-256 or SHA-512');
  const [name, bytes] = found;
  const { i, l } = numbersOf(phc, ['i', 'l']);
  const salt = decodeSalt(phc.salt);
  const digest = decodeDigest(phc.digest);
  if (digest.length !== l) throw malformed('must have a digest of l bytes');
  const most = Math.floor(MAX_ITERATIONS / Math.ceil(l / bytes));
  assertWithin('iterations (i)', i, MIN_ITERATIONS, most);
  return {
    text,
    parameters: `$${phc.id}$i=${i},l=${l}`,
    accepts: isText,
    matches: async (password) =>
      isSameDigest(await derive(password, salt, i, digest.length, name), digest),
  };
}
