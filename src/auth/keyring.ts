import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../observability/logger';
import { activeIndex, keyState, plannedKey, type RotationRules } from './key-schedule';
import type { KeyRing, KeySetAlgorithm, PublicJwk, VerificationKey } from './keys';
import type { KeyStore, StoredKey } from './keystore';

export interface KeyRingOptions {
  readonly store: KeyStore;
  readonly algorithm: KeySetAlgorithm;
  readonly rules: RotationRules;
  /** Time between two looks at the store; each worker varies it by a quarter. */
  readonly pollMs: number;
  readonly log: Logger;
  /** Wall clock in ms since the epoch: schedules are compared between hosts. */
  readonly now?: () => number;
}

/** Least time between refreshes that strangers' kids can cause. */
const UNKNOWN_KID_REFRESH_MS = 5000;
/** A client may use an old copy of the key set for as long again as a balancer or a proxy kept it. */
const LEAD_PER_MAX_AGE = 2;

interface KeySet {
  readonly keys: readonly StoredKey[];
  readonly byKid: ReadonlyMap<string, VerificationKey>;
  readonly published: readonly PublicJwk[];
}

/** The key set in the database, kept up to date by polling. Rejects when there is none and none can be made. */
export async function connectKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  const { store, algorithm, rules, pollMs, log, now = Date.now } = options;
  const stop = new AbortController();
  let set: KeySet = toKeySet(await readAndMaintain());
  let lastRefreshMs = now();
  let refreshing: Promise<boolean> | undefined;

  async function readAndMaintain(): Promise<readonly StoredKey[]> {
    let keys = await store.list();
    const planned = plannedKey(keys, algorithm, now(), rules);
    if (planned !== undefined) {
      const made = await store.add(planned.generation, algorithm, planned.activeFrom, new Date(now()));
      keys = await store.list();
      if (made)
        log.info(
          { generation: planned.generation, kid: keys.at(-1)?.verification.kid, activeFrom: planned.activeFrom },
          'a signing key was made',
        );
    }
    const kept = keys.filter((_, index) => keyState(keys, index, now(), rules) !== 'gone');
    const oldest = kept[0];
    if (oldest === undefined) throw new Error('there is no signing key');
    if (kept.length < keys.length) await store.removeBelow(oldest.generation);
    return kept;
  }

  async function refreshNow(): Promise<boolean> {
    lastRefreshMs = now();
    try {
      const before = set;
      set = toKeySet(await readAndMaintain());
      return set.byKid.size !== before.byKid.size || [...set.byKid.keys()].some((kid) => !before.byKid.has(kid));
    } catch (error) {
      // The keys at hand stay good: a token must not fail because the store is away.
      log.warn({ err: error }, 'the signing keys could not be refreshed');
      return false;
    }
  }

  const refresh = () => {
    refreshing ??= refreshNow().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  };

  async function poll(): Promise<void> {
    while (!stop.signal.aborted) {
      await delay(pollMs * (0.75 + Math.random() / 2), undefined, { signal: stop.signal, ref: false });
      await refresh();
    }
  }
  const polling = poll().catch(() => undefined);

  return {
    algorithm,
    signing: () => (set.keys[activeIndex(set.keys, now())] as StoredKey).signing,
    find(kid) {
      const key = set.byKid.get(kid);
      if (key === undefined && now() - lastRefreshMs >= UNKNOWN_KID_REFRESH_MS) void refresh();
      return key;
    },
    jwks: () => ({ keys: set.published }),
    jwksMaxAgeSeconds: Math.max(1, Math.min(300, Math.floor((rules.leadSeconds - pollMs / 1000) / LEAD_PER_MAX_AGE))),
    refresh,
    async close() {
      stop.abort();
      await polling;
      await refreshing;
    },
  };
}

function toKeySet(keys: readonly StoredKey[]): KeySet {
  return {
    keys,
    byKid: new Map(keys.map(({ verification }) => [verification.kid, verification])),
    published: keys.map(({ jwk }) => jwk),
  };
}
