import { randomBytes } from 'node:crypto';
import { deriveArgon2, deriveArgon2Sync } from './argon2-derive';
import type { Argon2Work } from './argon2-work';
import {
  decodeDigest,
  decodeSalt,
  encodeB64,
  isSameDigest,
  numbersOf,
  type PhcString,
  parsePhc,
} from './phc';
import { assertWithin, isText, malformed, type StoredHash, unsupported } from './stored-hash';

/** 128 MiB: Django's default is 100 MiB. Every check in progress allocates it. */
const MAX_KIB = 128 * 1024;
/** KiB times passes: the time of a check. */
const MAX_KIB_PASSES = 1024 * 1024;
const MAX_LANES = 16;
/** RFC 9106 §3.1. */
const SALT_MIN_BYTES = 8;
/** The recommendation of RFC 9106 §4. */
const SALT_BYTES = 16;
const DIGEST_BYTES = 32;

export interface Argon2Cost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** `$argon2id$v=19$m=65536,t=3,p=4$salt$digest` (RFC 9106). `v=16` is the version before. */
export function parseArgon2(text: string): StoredHash {
  const phc = parsePhc(text);
  const variant = variantOf(phc);
  const { m, t, p } = numbersOf(phc, ['m', 't', 'p']);
  assertArgon2Cost({ memoryKib: m, passes: t, parallelism: p });
  const salt = decodeSalt(phc.salt, SALT_MIN_BYTES);
  const digest = decodeDigest(phc.digest);
  const work = { memoryKib: m, passes: t, parallelism: p, ...variant, salt };
  return {
    text,
    parameters: `$${phc.id}$v=${phc.version}$m=${m},t=${t},p=${p}`,
    accepts: isText,
    matches: async (password) =>
      isSameDigest(await deriveArgon2(password, { ...work, digestBytes: digest.length }), digest),
  };
}

/** Throws HashRefusalError. */
function assertArgon2Cost({ memoryKib, passes, parallelism }: Argon2Cost): void {
  assertWithin('parallelism (p)', parallelism, 1, MAX_LANES);
  assertWithin('memory in KiB (m)', memoryKib, 8 * parallelism, MAX_KIB);
  assertWithin('passes (t)', passes, 1, Math.floor(MAX_KIB_PASSES / memoryKib));
}

export const argon2Parameters = ({ memoryKib, passes, parallelism }: Argon2Cost): string =>
  `$argon2id$v=19$m=${memoryKib},t=${passes},p=${parallelism}`;

export async function hashArgon2(password: string, cost: Argon2Cost): Promise<string> {
  const work = newWork(cost);
  return textOf(cost, work, await deriveArgon2(password, work));
}

/** Blocks the thread for the time of the hash: for worker threads. */
export function hashArgon2Sync(password: string, cost: Argon2Cost): string {
  const work = newWork(cost);
  return textOf(cost, work, deriveArgon2Sync(password, work));
}

const newWork = (cost: Argon2Cost): Argon2Work => ({
  ...cost,
  algorithm: 'argon2id',
  version: 19,
  salt: randomBytes(SALT_BYTES),
  digestBytes: DIGEST_BYTES,
});

const textOf = (cost: Argon2Cost, { salt }: Argon2Work, digest: Buffer): string =>
  `${argon2Parameters(cost)}$${encodeB64(salt)}$${encodeB64(digest)}`;

function variantOf({ id, version }: PhcString): Pick<Argon2Work, 'algorithm' | 'version'> {
  if (id !== 'argon2id' && id !== 'argon2i') throw unsupported('must be argon2id or argon2i');
  if (version !== '16' && version !== '19') throw malformed('must have version (v) 16 or 19');
  return { algorithm: id, version: Number(version) };
}
