import { generateSigningKey, publicHalf } from '../../src/modules/auth/keys/keys';
import type { KeyStore, StoredKey } from '../../src/modules/auth/keys/keystore';

/**
 * An in-memory key store that several processes of a test share. Like the real store, it has one
 * key per generation.
 */
export function createMemoryKeyStore(): KeyStore & { keys: StoredKey[]; broken: boolean } {
  const store: KeyStore & { keys: StoredKey[]; broken: boolean } = {
    keys: [],
    broken: false,
    async list() {
      if (store.broken) throw new Error('the store is unavailable');
      return [...store.keys];
    },
    async add(generation, alg, activeFrom, now) {
      const key = await generateSigningKey(alg);
      if (store.keys.some((known) => known.generation === generation)) return false;
      const { verification, jwk } = publicHalf(alg, key);
      store.keys.push({
        generation,
        alg,
        createdAt: now,
        activeFrom,
        signing: { kid: jwk.kid, alg, key },
        verification,
        jwk,
      });
      return true;
    },
    async reschedule(generation, activeFrom) {
      store.keys = store.keys.map((key) =>
        key.generation === generation ? { ...key, activeFrom } : key,
      );
    },
    async hold({ leadSeconds, retireSeconds }) {
      store.keys = store.keys.map((key) => ({
        ...key,
        held: {
          leadSeconds: Math.max(key.held?.leadSeconds ?? 0, leadSeconds),
          retireSeconds: Math.max(key.held?.retireSeconds ?? 0, retireSeconds),
        },
      }));
    },
    async removeBelow(generation) {
      const before = store.keys.length;
      store.keys = store.keys.filter((key) => key.generation >= generation);
      return before - store.keys.length;
    },
  };
  return store;
}
