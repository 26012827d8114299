import { hash } from 'node:crypto';
import type { VerificationKey } from './keys';

interface Entry<T> {
  readonly value: T;
  readonly key: VerificationKey;
  /** Since the hand last came by. */
  isUsed: boolean;
}

export interface VerifiedCache<T> {
  get(token: string): Omit<Entry<T>, 'isUsed'> | undefined;
  set(token: string, value: T, key: VerificationKey): void;
}

/** However many are in use, a new one never waits for more than so many to be passed over. */
const CHANCES_MAX = 16;

/**
 * Tokens whose signature was found good. Keyed by SHA-256, so that a heap dump holds no usable token. Bounded: when it is
 * full, the oldest goes that nobody has used since the hand last came by (CLOCK, Corbató 1968). As many tokens as
 * there is room for all stay, and a hit moves nothing.
 */
export function createVerifiedCache<T>(maxEntries: number): VerifiedCache<T> {
  const entries = new Map<string, Entry<T>>();
  // One iterator for good: a new one would pass all that a Map still keeps of what was deleted at its front.
  let hand = entries.entries();

  function oldest(): [string, Entry<T>] {
    for (;;) {
      const { value, done } = hand.next();
      if (done !== true) return value;
      hand = entries.entries();
    }
  }

  function makeRoom(): void {
    for (let chances = 0; entries.size >= maxEntries; chances += 1) {
      const [digest, entry] = oldest();
      entries.delete(digest);
      if (!entry.isUsed || chances >= CHANCES_MAX) continue;
      entry.isUsed = false;
      entries.set(digest, entry);
    }
  }

  return {
    get(token) {
      const entry = entries.get(hash('sha256', token, 'base64'));
      if (entry !== undefined) entry.isUsed = true;
      return entry;
    },
    set(token, value, key) {
      if (maxEntries <= 0) return;
      const digest = hash('sha256', token, 'base64');
      if (!entries.has(digest)) makeRoom();
      entries.set(digest, { value, key, isUsed: false });
    },
  };
}
