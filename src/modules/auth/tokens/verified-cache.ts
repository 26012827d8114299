import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { VerificationKey } from '../keys/keys';

interface Entry<T> {
  readonly value: T;
  readonly key: VerificationKey;
}

export interface VerifiedCache<T> {
  get(token: string): Entry<T> | undefined;
  set(token: string, value: T, key: VerificationKey): void;
}

/**
 * Tokens whose signature has been verified. Keyed by SHA-256, so that a heap dump holds no usable
 * token. Bounded: a full cache drops the token that was used least recently.
 */
export function createVerifiedCache<T>(maxEntries: number): VerifiedCache<T> {
  if (maxEntries <= 0) return { get: () => undefined, set: () => {} };
  const entries = new LRUCache<string, Entry<T>>({ max: maxEntries });
  return {
    get: (token) => entries.get(digestOf(token)),
    set(token, value, key) {
      entries.set(digestOf(token), { value, key });
    },
  };
}

const digestOf = (token: string) => hash('sha256', token, 'base64');
