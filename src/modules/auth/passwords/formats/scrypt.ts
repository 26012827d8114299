import { createCipheriv, type ScryptOptions, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { decodeDigest, decodeSalt, isSameDigest, numbersOf, parseUnversioned } from './phc';
import { assertWithin, isText, type StoredHash } from './stored-hash';

/** 128 · N · r bytes: N = 2^17 at r = 8, the highest that OWASP recommends. */
const MAX_BYTES = 128 * 1024 * 1024;
/** N · r · p: the time of a check. */
const MAX_BLOCKS = 2 ** 22;
const MAX_LANES = 16;

interface Cost {
  /** log2 of N. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

const keyOf = (password: string, salt: Buffer, bytes: number, { ln, r, p }: Cost) =>
  derive(password, salt, bytes, { N: 2 ** ln, r, p, maxmem: 2 * MAX_BYTES });

function assertCost({ ln, r, p }: Cost): void {
  assertWithin('block size (r)', r, 1, 32);
  assertWithin('parallelism (p)', p, 1, MAX_LANES);
  // RFC 7914 §6: N < 2^(16 r).
  assertWithin('log2 of the cost (ln)', ln, 1, Math.min(20, 16 * r - 1));
  assertWithin('memory in bytes (128 · N · r)', 128 * 2 ** ln * r, 1, MAX_BYTES);
  assertWithin('work (N · r · p)', 2 ** ln * r * p, 1, MAX_BLOCKS);
}

/** `$scrypt$ln=14,r=8,p=1$salt$digest` (RFC 7914), as passlib writes it. */
export function parseScrypt(text: string): StoredHash {
  const phc = parseUnversioned(text);
  const cost = numbersOf(phc, ['ln', 'r', 'p']);
  assertCost(cost);
  const salt = decodeSalt(phc.salt);
  const digest = decodeDigest(phc.digest);
  return {
    text,
    parameters: `$${phc.id}$ln=${cost.ln},r=${cost.r},p=${cost.p}`,
    accepts: isText,
    matches: async (password) =>
      isSameDigest(await keyOf(password, salt, digest.length, cost), digest),
  };
}

/**
 * `$firebase-scrypt$ln=14,r=8$salt$keystream`. Firebase encrypts the project's signer key by
 * AES-256-CTR under scrypt's output. Kept is the keystream alone (hash XOR signer key), so that
 * nothing of the project's secret is stored or needed for a check (ADR 25).
 */
export function parseFirebaseScrypt(text: string): StoredHash {
  const phc = parseUnversioned(text);
  const cost = { ...numbersOf(phc, ['ln', 'r']), p: 1 };
  assertCost(cost);
  const salt = decodeSalt(phc.salt);
  const keystream = decodeDigest(phc.digest);
  return {
    text,
    parameters: `$${phc.id}$ln=${cost.ln},r=${cost.r}`,
    accepts: isText,
    async matches(password) {
      const key = await keyOf(password, salt, 32, cost);
      const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
      return isSameDigest(cipher.update(Buffer.alloc(keystream.length)), keystream);
    },
  };
}
