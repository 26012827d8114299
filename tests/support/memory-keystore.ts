import { generateSigningKey, publicHalf } from '../../src/auth/keys';
import type { KeyStore, StoredKey } from '../../src/auth/keystore';

/** What several processes share: the rules of the real store (one key per generation) without a database. */
export function createMemoryKeyStore(): KeyStore & { keys: StoredKey[]; broken: boolean } {
  const store: KeyStore & { keys: StoredKey[]; broken: boolean } = {
    keys: [],
    broken: false,
    async list() {
      if (store.broken) throw new Error('the store is away');
      return [...store.keys];
    },
    async add(generation, alg, activeFrom, now) {
      const key = await generateSigningKey(alg);
      if (store.keys.some((known) => known.generation === generation)) return false;
      const { verification, jwk } = publicHalf(alg, key);
      store.keys.push({ generation, alg, createdAt: now, activeFrom, signing: { kid: jwk.kid, alg, key }, verification, jwk });
      return true;
    },
    async reschedule(generation, activeFrom) {
      store.keys = store.keys.map((key) => (key.generation === generation ? { ...key, activeFrom } : key));
    },
    async removeBelow(generation) {
      const before = store.keys.length;
      store.keys = store.keys.filter((key) => key.generation >= generation);
      return before - store.keys.length;
    },
  };
  return store;
}
