import { Problem } from '../../../../src/kernel/errors';
import { connectKeyRing } from '../../../../src/modules/auth/keys/keyring';
import type { KeyRing, KeySetAlgorithm } from '../../../../src/modules/auth/keys/keys';
import type { KeyStore } from '../../../../src/modules/auth/keys/keystore';
import { rotateKeys } from '../../../../src/modules/auth/keys/rotate-keys';
import { createTokens } from '../../../../src/modules/auth/tokens/tokens';
import { createLogger } from '../../../../src/platform/telemetry/logger';
import { eventually } from '../../../support/http';
import { createMemoryKeyReaders } from '../../../support/memory-key-readers';
import { createMemoryKeyStore } from '../../../support/memory-keystore';

const START = 1_800_000_000_000;
const RULES = { rotationSeconds: 1000, leadSeconds: 100, retireSeconds: 50 };
const log = createLogger({ level: 'silent' });

describe('a key set in a store', () => {
  const rings: KeyRing[] = [];
  const clock = { ms: START };
  let monotonicMs = 0;
  const readers = createMemoryKeyReaders(() => clock.ms);
  let pids = 0;
  const open = async (
    store: KeyStore,
    algorithm: KeySetAlgorithm = 'EdDSA',
    rules = RULES,
    pollMs = 3_600_000,
  ) => {
    pids += 1;
    const times = { now: () => clock.ms, monotonic: () => monotonicMs };
    const ring = await connectKeyRing({
      store,
      readers: readers.of(pids),
      algorithm,
      rules,
      pollMs,
      log,
      ...times,
    });
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

  test('processes that start at the same time create one key and sign with it', async () => {
    const store = createMemoryKeyStore();
    const all = await Promise.all(Array.from({ length: 8 }, () => open(store)));
    expect(store.keys).toHaveLength(1);
    expect(new Set(all.map((ring) => ring.signing().kid)).size).toBe(1);
  });

  test('the states of a key are next, active, retiring, gone', async () => {
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

  test('a token signed at any moment of many rotations is accepted everywhere until it expires', async () => {
    const store = createMemoryKeyStore();
    const rings = [await open(store), await open(store), await open(store)];
    const workers = rings.map((keys) =>
      createTokens({
        keys,
        issuer: 'i',
        audience: 'a',
        clientId: 'c',
        ttlSeconds: 45,
        leewaySeconds: 5,
        cacheMaxEntries: 0,
        now: () => clock.ms,
      }),
    );
    const user = {
      id: '64b0c0ffee64b0c0ffee64b0',
      role: 'user',
      sessionVersion: 0,
      emailVerified: false,
    } as const;
    let live: { token: string; until: number }[] = [];
    const kids = new Set<string>();
    for (let second = 0; second < 5000; second += 9) {
      at(second);
      // Each worker looks only now and then, as far apart as the lead allows.
      await rings[(second / 9) % 3]?.refresh();
      for (const worker of workers)
        live.push({ token: worker.issue(user, 's').token, until: second + 45 });
      live = live.filter(({ until }) => until > second);
      for (const { token } of live) for (const worker of workers) worker.verify(token);
      kids.add(rings[0]?.signing().kid as string);
    }
    expect(kids.size).toBe(5);
  }, 120_000);

  describe('lowered settings while earlier tokens and copies are in use', () => {
    const HIGHER = { rotationSeconds: 1000, leadSeconds: 400, retireSeconds: 5000 };

    test('a key is kept as long as the longest token that it signed', async () => {
      const store = createMemoryKeyStore();
      const first = (await open(store, 'EdDSA', HIGHER)).signing().kid;
      const lowered = await open(store);
      at(600);
      await lowered.refresh();
      at(1000);
      expect(lowered.signing().kid).not.toBe(first);
      const second = lowered.signing().kid;
      at(1000 + 4999);
      await lowered.refresh();
      expect(lowered.find(first)).toBeDefined();
      at(1000 + 5000);
      await lowered.refresh();
      expect(lowered.find(first)).toBeUndefined();
      // The next one stood under the lower settings alone.
      at(1000 + 5000 + 100 + 50);
      await lowered.refresh();
      expect(lowered.find(second)).toBeUndefined();
    });

    test('the next key waits until old copies of the key set have expired', async () => {
      const store = createMemoryKeyStore();
      await open(store, 'EdDSA', HIGHER);
      const lowered = await open(store);
      at(950);
      await lowered.refresh();
      expect(store.keys[1]?.activeFrom.getTime()).toBe(START + (950 + 400) * 1000);
      expect(
        await rotateKeys({
          store,
          readers: readers.of(0),
          algorithm: 'EdDSA',
          rules: RULES,
          mode: 'lead',
          now: () => clock.ms,
        }),
      ).toMatchObject({
        activeFrom: new Date(START + (950 + 100) * 1000),
      });
    });

    test('raised settings apply to existing keys on every host', async () => {
      const store = createMemoryKeyStore();
      const before = await open(store);
      const first = before.signing().kid;
      await open(store, 'EdDSA', HIGHER);
      at(950);
      await before.refresh();
      at(5000);
      expect(before.signing().kid).not.toBe(first);
      await before.refresh();
      expect(before.find(first)).toBeDefined();
    });
  });

  describe('a rotation returns when its mode is in effect', () => {
    const rotate = (store: KeyStore, mode: 'now' | 'compromised', seen: number[] = []) =>
      rotateKeys({
        ...{
          store,
          readers: readers.of(0),
          algorithm: 'EdDSA',
          rules: RULES,
          mode,
          now: () => clock.ms,
          pollMs: 1,
        },
        waiting: (behind) => seen.push(behind.length),
      });
    const pending = async (work: Promise<unknown>) => {
      const unique = Symbol('pending');
      return (
        (await Promise.race([work, new Promise((resolve) => setTimeout(resolve, 60, unique))])) ===
        unique
      );
    };

    test('compromised: no process accepts another key', async () => {
      const store = createMemoryKeyStore();
      const [one, two] = [await open(store), await open(store)];
      const first = one.signing().kid;
      const seen: number[] = [];
      const rotation = rotate(store, 'compromised', seen);
      expect(await pending(rotation)).toBe(true);
      await one.refresh();
      expect(await pending(rotation)).toBe(true);
      expect(two.find(first)).toBeDefined();
      await two.refresh();
      await rotation;
      expect([one.find(first), two.find(first)]).toEqual([undefined, undefined]);
      expect([...new Set(seen)]).toEqual([2, 1]);
    });

    test('compromised: waits for a process that starts meanwhile and for one that is cut off', async () => {
      const store = createMemoryKeyStore();
      const cutOff = await open(store, 'EdDSA', RULES, 1000);
      const first = cutOff.signing().kid;
      // It has read the keys, and not told of it yet.
      const starting = readers.of(99);
      await starting.report({ lowest: 0, highest: 0, highestFrom: new Date(0) }, 30);
      const rotation = rotate(store, 'compromised');
      expect(await pending(rotation)).toBe(true);
      await starting.report({ lowest: 2, highest: 2, highestFrom: new Date(0) }, 3000);
      expect(await pending(rotation)).toBe(true);
      // Thirty seconds later the one that is cut off refuses by itself, before its row says so.
      monotonicMs += 29_999;
      expect(cutOff.find(first)).toBeDefined();
      monotonicMs += 1;
      expect(() => cutOff.find(first)).toThrow(Problem);
      at(30);
      await rotation;
      // Back again, it must not accept the old key between its look and its word.
      await cutOff.refresh();
      expect(cutOff.find(first)).toBeUndefined();
      await starting.leave();
    });

    test('now: every process has read the key before it signs, and signs with it at the end', async () => {
      const store = createMemoryKeyStore();
      const [one, two] = [await open(store), await open(store)];
      const first = one.signing().kid;
      const rotation = rotate(store, 'now');
      await eventually('the next key', () => store.keys.length === 2);
      await one.refresh();
      expect(await pending(rotation)).toBe(true);
      expect(one.signing().kid).toBe(first);
      await two.refresh();
      await eventually(
        'the key to sign',
        () => (store.keys[1]?.activeFrom.getTime() ?? Number.POSITIVE_INFINITY) <= clock.ms,
      );
      expect(await pending(rotation)).toBe(true);
      await one.refresh();
      const second = one.signing().kid;
      expect(second).not.toBe(first);
      // What one signs by then the other accepts, though it has not looked again.
      expect(two.find(second)).toBeDefined();
      await two.refresh();
      expect(await rotation).toMatchObject({ generation: 2 });
      expect(two.signing().kid).toBe(second);
    });

    test('a read that cannot be reported does not make the keys fresh', async () => {
      const store = createMemoryKeyStore();
      const ring = await open(store, 'EdDSA', RULES, 1000);
      const { kid } = ring.signing();
      readers.broken = true;
      monotonicMs += 20_000;
      expect(await ring.refresh()).toBe(false);
      monotonicMs += 10_000;
      expect(() => ring.find(kid)).toThrow(
        expect.objectContaining({ status: 503, code: 'database_unavailable' }),
      );
      readers.broken = false;
      await ring.refresh();
      expect(ring.find(kid)).toBeDefined();
    });
  });

  test('an unavailable store does not affect the present keys', async () => {
    const store = createMemoryKeyStore();
    const ring = await open(store);
    const { kid } = ring.signing();
    store.broken = true;
    expect(await ring.refresh()).toBe(false);
    expect(ring.signing().kid).toBe(kid);
    expect(ring.find(kid)).toBeDefined();
    await expect(open(store)).rejects.toThrow('the store is unavailable');
  });

  test('an unknown kid triggers a refresh, at a limited rate', async () => {
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

  test('a changed algorithm takes effect by rotation', async () => {
    const store = createMemoryKeyStore();
    await open(store, 'EdDSA');
    const ring = await open(store, 'ES256');
    expect(ring.signing().alg).toBe('EdDSA');
    at(100);
    expect(ring.signing().alg).toBe('ES256');
  });

  test('published keys have no private members', async () => {
    for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) {
      const ring = await open(createMemoryKeyStore(), algorithm);
      const [jwk] = ring.jwks().keys;
      expect(
        Object.keys(jwk ?? {}).filter((member) =>
          ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(member),
        ),
      ).toEqual([]);
      expect(jwk).toMatchObject({ alg: algorithm, use: 'sig', kid: ring.signing().kid });
    }
  });

  test('public keys may be cached for less than the lead', async () => {
    const ring = await open(createMemoryKeyStore());
    expect(ring.jwksMaxAgeSeconds).toBeLessThan(RULES.leadSeconds);
  });
});
