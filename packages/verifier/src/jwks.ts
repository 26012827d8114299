import type { createRemoteJWKSet } from 'jose';
import { VerifierError } from './errors.js';
import { backoffMs, type FetchJson, pause } from './http.js';
import { assertSecure, type Settings } from './options.js';

type Jose = typeof import('jose');

interface Loaded {
  readonly jose: Jose;
  readonly keys: ReturnType<typeof createRemoteJWKSet>;
}

export interface Jwks {
  /** Waits for the discovery, for at most the time of one request. Throws `keys_unavailable`. */
  get(): Promise<Loaded>;
  /** Whether an error of a verification says nothing about the token. */
  isUnavailable(error: unknown): boolean;
}

/** As long as the service lets its keys be cached. */
const MAX_AGE_MS = 300_000;
/** An unknown `kid` reads the keys again, at most this often. */
const COOLDOWN_MS = 5000;

/** Where the service says what it is (RFC 8414 §3). */
const metadataUrl = (issuer: string): string => {
  const url = new URL(issuer);
  const path = url.pathname.replace(/\/+$/, '');
  return `${url.origin}/.well-known/oauth-authorization-server${path}`;
};

export function createJwks(settings: Settings, fetchJson: FetchJson, signal: AbortSignal): Jwks {
  let loading: Promise<Loaded> | undefined;
  let loaded: Loaded | undefined;

  async function load(): Promise<Loaded> {
    const jose = await import('jose');
    const metadata = await discover(settings, fetchJson, signal);
    const uri = new URL(String(metadata['jwks_uri']));
    assertSecure(uri, settings.allowHttp);
    const keys = jose.createRemoteJWKSet(uri, {
      cacheMaxAge: MAX_AGE_MS,
      cooldownDuration: COOLDOWN_MS,
      timeoutDuration: settings.requestTimeoutMs,
      [jose.customFetch]: (url: string, init: RequestInit) => settings.fetch(url, init),
    });
    await keys.reload();
    return { jose, keys };
  }

  /** Until it has succeeded. One at a time. */
  async function keepLoading(): Promise<Loaded> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        loaded = await load();
        return loaded;
      } catch (error) {
        signal.throwIfAborted();
        settings.onEvent({ kind: 'failed', step: 'discovery', error });
        await pause(backoffMs(attempt, 100, 5000), signal);
      }
    }
  }

  return {
    async get() {
      if (loaded !== undefined) return loaded;
      loading ??= keepLoading().finally(() => {
        loading = undefined;
      });
      const late = pause(settings.requestTimeoutMs, signal).then(() => {
        throw new VerifierError('keys_unavailable', 'The keys of the issuer were not read yet.');
      });
      late.catch(() => undefined);
      return Promise.race([loading, late]);
    },
    isUnavailable(error) {
      const { errors } = loaded?.jose ?? {};
      return (
        errors === undefined ||
        error instanceof errors.JWKSTimeout ||
        error instanceof errors.JWKSInvalid ||
        !(error instanceof Error) ||
        isNetworkError(error, errors)
      );
    },
  };
}

/** The errors of `fetch`, and the bare class for an answer other than 200. */
const isNetworkError = (error: Error, errors: Jose['errors']): boolean =>
  error instanceof TypeError ||
  error.name === 'AbortError' ||
  error.name === 'TimeoutError' ||
  Object.getPrototypeOf(error) === errors.JOSEError.prototype;

const cached = new WeakMap<Settings, Promise<Readonly<Record<string, unknown>>>>();

/** The metadata, read once. A failure is not kept. */
export function discover(
  settings: Settings,
  fetchJson: FetchJson,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const known = cached.get(settings);
  if (known !== undefined) return known;
  const reading = read();
  cached.set(settings, reading);
  reading.catch(() => cached.delete(settings));
  return reading;

  async function read() {
    const metadata = await fetchJson(metadataUrl(settings.issuer), { signal });
    // RFC 8414 §3.3: metadata of another issuer must not be used.
    if (metadata['issuer'] !== settings.issuer)
      throw new Error(`the metadata is of the issuer ${String(metadata['issuer'])}`);
    return metadata;
  }
}
