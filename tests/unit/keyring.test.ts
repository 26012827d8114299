import { connectKeyRing } from '../../src/auth/keyring';
import type { KeyRing, KeySetAlgorithm } from '../../src/auth/keys';
import type { KeyStore } from '../../src/auth/keystore';
import { createTokens } from '../../src/auth/tokens';
import { createLogger } from '../../src/observability/logger';
import { createMemoryKeyStore } from '../support/memory-keystore';

const START = 1_800_000_000_000;
const RULES = { rotationSeconds: 1000, leadSeconds: 100, retireSeconds: 50 };
const log = createLogger({ level: 'silent' });

describe('a key set in a store', () => {
  const rings: KeyRing[] = [];
  const clock = { ms: START };
  const open = async (store: KeyStore, algorithm: KeySetAlgorithm = 'EdDSA') => {
    const ring = await connectKeyRing({ store, algorithm, rules: RULES, pollMs: 3_600_000, log, now: () => clock.ms });
    rings.push(ring);
    return ring;
  };
  const at = (seconds: number) => {
    clock.ms = START + seconds * 1000;
  };
  beforeEach(() => at(0));
  afterEach(async () => {
    await Promise.all(rings.splice(0).map((ring) => ring.close()));
  });

  test('many that start at once make one key and sign with it at once', async () => {
    const store = createMemoryKeyStore();
    const all = await Promise.all(Array.from({ length: 8 }, () => open(store)));
    expect(store.keys).toHaveLength(1);
    expect(new Set(all.map((ring) => ring.signing().kid)).size).toBe(1);
  });

  test('a key is next, then active, then retiring, then gone', async () => {
    const store = createMemoryKeyStore();
    const ring = await open(store);
    const first = ring.signing().kid;

    at(899);
    await ring.refresh();
    expect(ring.jwks().keys).toHaveLength(1);
    at(900);
    expect(await ring.refresh()).toBe(true);
    const second = ring.jwks().keys[1]?.kid as string;
    expect(ring.signing().kid).toBe(first);
    expect(ring.find(second)).toBeDefined();

    at(999.999);
    expect(ring.signing().kid).toBe(first);
    at(1000);
    expect(ring.signing().kid).toBe(second);
    expect(ring.find(first)).toBeDefined();

    at(1049);
    await ring.refresh();
    expect(ring.find(first)).toBeDefined();
    at(1050);
    await ring.refresh();
    expect(ring.find(first)).toBeUndefined();
    expect(ring.jwks().keys.map(({ kid }) => kid)).toEqual([second]);
    expect(store.keys).toHaveLength(1);
  });

  test('a token signed at any moment of many rotations is verified everywhere until it expires', async () => {
    const store = createMemoryKeyStore();
    const rings = [await open(store), await open(store), await open(store)];
    const workers = rings.map((keys) =>
      createTokens({ keys, issuer: 'i', audience: 'a', ttlSeconds: 45, leewaySeconds: 5, cacheMaxEntries: 0, now: () => clock.ms }),
    );
    const user = { id: 'u', role: 'user', sessionVersion: 0 } as const;
    let live: { token: string; until: number }[] = [];
    const kids = new Set<string>();
    for (let second = 0; second < 5000; second += 9) {
      at(second);
      // Each worker looks only now and then, as far apart as the lead allows.
      await rings[(second / 9) % 3]?.refresh();
      for (const worker of workers) live.push({ token: worker.issue(user, 's').token, until: second + 45 });
      live = live.filter(({ until }) => until > second);
      for (const { token } of live) for (const worker of workers) worker.verify(token);
      kids.add(rings[0]?.signing().kid as string);
    }
    expect(kids.size).toBe(5);
  });

  test('a store that is away changes nothing for the keys at hand', async () => {
    const store = createMemoryKeyStore();
    const ring = await open(store);
    const { kid } = ring.signing();
    store.broken = true;
    expect(await ring.refresh()).toBe(false);
    expect(ring.signing().kid).toBe(kid);
    expect(ring.find(kid)).toBeDefined();
    await expect(open(store)).rejects.toThrow('the store is away');
  });

  test('an unknown kid asks the store again, but strangers cannot make it ask often', async () => {
    const store = createMemoryKeyStore();
    const ring = await open(store);
    await store.add(2, 'EdDSA', new Date(clock.ms), new Date(clock.ms));
    const newer = store.keys[1]?.verification.kid as string;
    let asked = 0;
    const list = store.list.bind(store);
    store.list = () => {
      asked += 1;
      return list();
    };
    for (let i = 0; i < 1000; i += 1) ring.find(`stranger-${i}`);
    expect(asked).toBe(0);
    at(6);
    for (let i = 0; i < 1000; i += 1) ring.find(`stranger-${i}`);
    expect(asked).toBe(1);
    await ring.refresh();
    expect(ring.find(newer)).toBeDefined();
  });

  test('another algorithm is rotated to, not switched to', async () => {
    const store = createMemoryKeyStore();
    await open(store, 'EdDSA');
    const ring = await open(store, 'ES256');
    expect(ring.signing().alg).toBe('EdDSA');
    at(100);
    expect(ring.signing().alg).toBe('ES256');
  });

  test('what is published has no private part', async () => {
    for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) {
      const ring = await open(createMemoryKeyStore(), algorithm);
      const [jwk] = ring.jwks().keys;
      expect(Object.keys(jwk ?? {}).filter((member) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(member))).toEqual([]);
      expect(jwk).toMatchObject({ alg: algorithm, use: 'sig', kid: ring.signing().kid });
    }
  });

  test('its public keys may be kept for less than the lead', async () => {
    const ring = await open(createMemoryKeyStore());
    expect(ring.jwksMaxAgeSeconds).toBeLessThan(RULES.leadSeconds);
  });
});
