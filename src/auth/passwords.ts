import { randomBytes } from 'node:crypto';
import bcrypt from 'bcrypt';
import type { Metrics } from '../observability/metrics';
import { createAdmission } from './admission';
import { isHashable, normalizePassword } from './password-rules';

export { newPassword, PASSWORD_MAX_BYTES, PASSWORD_MIN_CHARS, passwordFault } from './password-rules';

export interface Passwords {
  /** The password must have passed `newPassword`. Throws Problem 503 `hash_queue_full`. */
  hash(password: string): Promise<string>;
  /**
   * Always one bcrypt of the current cost: an account that does not exist (`hash` undefined) and a password that could
   * never have been set take as long as a wrong one. Throws Problem 503 `hash_queue_full`.
   */
  verify(password: string, hash: string | undefined): Promise<boolean>;
  /** True when the hash was made at another cost than today's, or in a form that is not today's. */
  needsRehash(hash: string): boolean;
}

export interface PasswordOptions {
  /** bcrypt's cost: 2^cost rounds. */
  readonly cost: number;
  /** Hashes at a time in this process. */
  readonly concurrency: number;
  /** Hashes waiting, at most. */
  readonly queueMax: number;
  readonly metrics: Metrics;
}

const BCRYPT = /^\$2[aby]\$(\d{2})\$[./A-Za-z0-9]{53}$/;

export function createPasswords(options: PasswordOptions): Passwords {
  const { cost } = options;
  const admit = createAdmission(options);
  const dummy = impossibleHash(cost);

  return {
    hash: (password) => admit(() => bcrypt.hash(normalizePassword(password), cost)),

    async verify(password, hash) {
      const normalized = normalizePassword(password);
      const possible = hash !== undefined && BCRYPT.test(hash) && isHashable(password) && isHashable(normalized);
      // The comparison runs in any case; only its result is dropped.
      const equal = await admit(() => bcrypt.compare(possible ? normalized : 'no such password', possible ? hash : dummy));
      return possible && equal;
    },

    needsRehash(hash) {
      const found = BCRYPT.exec(hash);
      return found === null || !hash.startsWith('$2b$') || Number(found[1]) !== cost;
    },
  };
}

/** A well-formed hash of no known password, at the current cost. Made without hashing: 23 random bytes stand for the digest. */
function impossibleHash(cost: number): string {
  const digest = randomBytes(31).toString('base64').replaceAll('+', '.').slice(0, 31);
  return `${bcrypt.genSaltSync(cost)}${digest}`;
}
