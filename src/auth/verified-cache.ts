import { hash } from 'node:crypto';
import type { VerificationKey } from './keys';

interface Entry<T> {
  readonly value: T;
  readonly key: VerificationKey;
}

export interface VerifiedCache<T> {
  get(token: string): Entry<T> | undefined;
  set(token: string, value: T, key: VerificationKey): void;
}

/**
 * Tokens whose signature was found good. Keyed by SHA-256, so that a heap dump holds no usable token. Bounded by two
 * generations of half the size each: as good as an LRU here, and a hit on the young one moves nothing.
 */
export function createVerifiedCache<T>(maxEntries: number): VerifiedCache<T> {
  const generationMax = Math.floor(maxEntries / 2);
  let young = new Map<string, Entry<T>>();
  let old = new Map<string, Entry<T>>();

  function put(digest: string, entry: Entry<T>): void {
    if (generationMax === 0) return;
    if (young.size >= generationMax) {
      old = young;
      young = new Map();
    }
    young.set(digest, entry);
  }

  return {
    get(token) {
      const digest = hash('sha256', token, 'base64');
      const entry = young.get(digest);
      if (entry !== undefined) return entry;
      const older = old.get(digest);
      if (older !== undefined) put(digest, older);
      return older;
    },
    set: (token, value, key) => put(hash('sha256', token, 'base64'), { value, key }),
  };
}
