import { problems } from '../../../kernel/errors';
import { jittered, withTimeout } from '../../../kernel/lifecycle';
import type { KeyReaders } from './key-readers';
import { activeIndex } from './key-schedule';
import type { KeyRing, PublicJwk, VerificationKey } from './keys';
import type { StoredKey } from './keystore';
import { type MaintainOptions, readAndMaintain } from './maintain-keys';
import { createPoller, freshMs, kidsDiffer } from './poller';

export interface KeyRingOptions extends MaintainOptions {
  readonly readers: KeyReaders;
  /** Time between two reads of the store; each worker varies it by a quarter. */
  readonly pollMs: number;
  /** A monotonic clock in ms. */
  readonly monotonic?: () => number;
}

/** The shortest time between refreshes that unknown key ids can cause. */
const UNKNOWN_KID_REFRESH_MS = 5000;
/** A proxy may keep the key set for `max-age`, and the client then for as long again. */
const LEAD_PER_MAX_AGE = 2;
export const JWKS_MAX_AGE_SECONDS = 300;
const LEAVE_TIMEOUT_MS = 1000;

const staleKeys = () =>
  problems.unavailable(
    'database_unavailable',
    'The signing keys could not be read for too long.',
    5,
  );

interface KeySet {
  readonly keys: readonly StoredKey[];
  readonly byKid: ReadonlyMap<string, VerificationKey>;
  readonly published: readonly PublicJwk[];
}

/**
 * The key set in the database, kept up to date by polling. Rejects when there is no key and none
 * can be created.
 */
export async function connectKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  const { algorithm, rules, pollMs, now, monotonic = () => performance.now() } = options;
  const current = createFreshKeys(options, monotonic);
  await current.read();
  let lastRefreshMs = now();
  const poller = createPoller(
    () => jittered(pollMs),
    () => {
      lastRefreshMs = now();
      return current.tryRead();
    },
  );
  poller.start();
  return {
    algorithm,
    signing: () => {
      const { keys } = current.set();
      return (keys[activeIndex(keys, now())] as StoredKey).signing;
    },
    schedule() {
      const { keys } = current.set();
      const active = activeIndex(keys, now());
      const activeFromMs = (keys[active] as StoredKey).activeFrom.getTime();
      const next = keys[active + 1]?.activeFrom.getTime();
      return { activeFromMs, nextFromMs: next ?? activeFromMs + rules.rotationSeconds * 1000 };
    },
    find(kid) {
      if (!current.isFresh()) throw staleKeys();
      const key = current.set().byKid.get(kid);
      if (key === undefined && now() - lastRefreshMs >= UNKNOWN_KID_REFRESH_MS)
        void poller.refresh();
      return key;
    },
    jwks: () => ({ keys: current.set().published }),
    jwksMaxAgeSeconds: maxAgeSeconds(rules.leadSeconds, pollMs),
    refresh: poller.refresh,
    async close() {
      await poller.stop();
      await current.leave();
    },
  };
}

/** Short enough for a client to learn of a key before it signs. */
function maxAgeSeconds(leadSeconds: number, pollMs: number): number {
  const longest = Math.floor((leadSeconds - pollMs / 1000) / LEAD_PER_MAX_AGE);
  return Math.max(1, Math.min(JWKS_MAX_AGE_SECONDS, longest));
}

interface FreshKeys {
  set(): KeySet;
  isFresh(): boolean;
  /** Reads the store and reports to the key readers. */
  read(): Promise<void>;
  /** Same, and resolves true when the set of keys changed. Never rejects. */
  tryRead(): Promise<boolean>;
  /** Reports that this process accepts no key any more. */
  leave(): Promise<void>;
}

function createFreshKeys(options: KeyRingOptions, monotonic: () => number): FreshKeys {
  const { readers, pollMs, log } = options;
  const freshSeconds = freshMs(pollMs) / 1000;
  let set: KeySet = toKeySet([]);
  let freshUntilMs = Number.NEGATIVE_INFINITY;

  async function read(): Promise<void> {
    const beganMs = monotonic();
    // When the keys are stale, it first reports that it may accept any key: a rotation in between
    // waits for this process.
    if (beganMs >= freshUntilMs)
      await readers.report({ lowest: 0, highest: 0, highestFrom: new Date(0) }, freshSeconds);
    const keys = await readAndMaintain(options);
    set = toKeySet(keys);
    const [first, last] = [keys[0], keys.at(-1)] as [StoredKey, StoredKey];
    await readers.report(
      { lowest: first.generation, highest: last.generation, highestFrom: last.activeFrom },
      freshSeconds,
    );
    freshUntilMs = beganMs + freshMs(pollMs);
  }

  return {
    set: () => set,
    isFresh: () => monotonic() < freshUntilMs,
    read,
    async tryRead() {
      const before = set;
      try {
        await read();
      } catch (error) {
        // The present keys stay in use until they are stale.
        log.warn({ err: error }, 'signing keys not refreshed');
        return false;
      }
      return kidsDiffer(set.byKid, before.byKid);
    },
    async leave() {
      freshUntilMs = Number.NEGATIVE_INFINITY;
      await withTimeout(readers.leave(), LEAVE_TIMEOUT_MS, 'leaving the key readers').catch(
        (error: unknown) => log.debug({ err: error }, 'key reader not removed'),
      );
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
