import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { z } from 'zod';
import { problems } from '../../../kernel/errors';
import { jittered } from '../../../kernel/lifecycle';
import { withTimeLimit } from '../../../kernel/time-limit';
import type { Logger } from '../../../platform/telemetry/logger';
import { ALGORITHMS, assertFits, type KeyRing, type VerificationKey } from './keys';
import { createPoller, freshMs, kidsDiffer } from './poller';

/** Verifies with the published keys of another process. It cannot sign. */
export interface RemoteKeyRing extends KeyRing {
  /**
   * For a kid that is not known: a promise of the next read of the key set. undefined: the kid is
   * known, or the set was read a moment ago.
   */
  learn(kid: string): Promise<void> | undefined;
}

export interface RemoteKeyRingOptions {
  readonly url: string;
  /** Time between two reads of the key set; each worker varies it by a quarter. */
  readonly pollMs: number;
  readonly log: Logger;
  /** In ms, from any moment on. */
  readonly monotonic?: () => number;
}

const FETCH_TIMEOUT_MS = 5000;
/** Least time between reads that unknown kids cause: anyone can invent one. */
const COOLDOWN_MS = 1000;
/** While there are no keys at all. */
const FIRST_POLL_MS = 1000;
const MAX_BYTES = 100_000;

const keysUnavailable = () =>
  problems.unavailable(
    'signing_keys_unavailable',
    'The keys to verify access tokens with could not be read.',
    2,
  );

const keySet = z.object({
  keys: z.array(z.looseObject({ kid: z.string(), alg: z.enum(ALGORITHMS) })).max(1000),
});

interface RemoteKey {
  readonly jwk: string;
  readonly verification: VerificationKey;
}

/**
 * Resolves after the first read, also when it has failed: the next succeeds or requests get 503.
 */
export async function connectRemoteKeyRing(options: RemoteKeyRingOptions): Promise<RemoteKeyRing> {
  const { url, pollMs, log, monotonic = () => performance.now() } = options;
  let keys: ReadonlyMap<string, RemoteKey> = new Map();
  let freshUntilMs = Number.NEGATIVE_INFINITY;
  let readAtMs = Number.NEGATIVE_INFINITY;

  const readText = (stopped: AbortSignal) =>
    withTimeLimit(FETCH_TIMEOUT_MS, stopped, (signal) => fetchText(url, signal));

  async function readNow(stopped: AbortSignal): Promise<boolean> {
    readAtMs = monotonic();
    try {
      const next = parseKeys(await readText(stopped), keys);
      const hasChanged = kidsDiffer(next, keys);
      keys = next;
      freshUntilMs = readAtMs + freshMs(pollMs);
      return hasChanged;
    } catch (error) {
      if (!stopped.aborted) log.warn({ err: error, url }, 'key set not read, will retry');
      return false;
    }
  }

  const isFresh = () => monotonic() < freshUntilMs;
  const poller = createPoller(() => (isFresh() ? jittered(pollMs) : FIRST_POLL_MS), readNow);
  const { refresh } = poller;
  await refresh();
  poller.start();
  return {
    algorithm: 'ES256',
    signing() {
      throw new Error('this process has no key to sign with: MODULES does not name auth');
    },
    find(kid) {
      if (!isFresh()) throw keysUnavailable();
      return keys.get(kid)?.verification;
    },
    learn(kid) {
      if (isFresh() && keys.has(kid)) return undefined;
      if (!poller.isReading && monotonic() - readAtMs < COOLDOWN_MS) return undefined;
      return refresh().then(() => undefined);
    },
    jwks: () => ({ keys: [] }),
    jwksMaxAgeSeconds: 1,
    refresh,
    close: poller.stop,
  };
}

async function fetchText(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, {
    redirect: 'error',
    headers: { Accept: 'application/json' },
    signal,
  });
  if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
  const reader = response.body.getReader();
  // Once the head is there, fetch may lose its signal to the garbage collector.
  signal.addEventListener('abort', () => void reader.cancel().catch(() => undefined));
  const parts: Uint8Array[] = [];
  for (let bytes = 0; ; ) {
    signal.throwIfAborted();
    const { value } = await reader.read();
    signal.throwIfAborted();
    if (value === undefined) return Buffer.concat(parts).toString('utf8');
    bytes += value.byteLength;
    parts.push(value);
    if (bytes <= MAX_BYTES) continue;
    await reader.cancel();
    throw new Error(`more than ${MAX_BYTES} bytes`);
  }
}

/** Unchanged keys stay the same objects: verified tokens are cached with theirs. */
function parseKeys(
  text: string,
  before: ReadonlyMap<string, RemoteKey>,
): ReadonlyMap<string, RemoteKey> {
  const found = new Map<string, RemoteKey>();
  for (const member of keySet.parse(JSON.parse(text)).keys) {
    const { kid, alg } = member;
    if (found.has(kid)) throw new Error(`two keys have the kid ${kid}`);
    const jwk = JSON.stringify(member);
    const known = before.get(kid);
    found.set(kid, known?.jwk === jwk ? known : { jwk, verification: toKey(kid, alg, member) });
  }
  if (found.size === 0) throw new Error('the key set is empty');
  return found;
}

function toKey(kid: string, alg: VerificationKey['alg'], jwk: JsonWebKey): VerificationKey {
  if (alg === 'HS256') throw new Error('a published key cannot be a shared secret');
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  assertFits(alg, key);
  return { kid, alg, key };
}
