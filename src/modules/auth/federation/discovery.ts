import type { Configuration } from 'openid-client';
import type { ProviderSettings } from '../../../kernel/config/federation';
import { createBoundedFetch } from './bounded-fetch';
import { invalidProviderAnswer, providerUnavailable } from './problems';

type Library = typeof import('openid-client');

export interface DiscoveryOptions {
  readonly settings: ProviderSettings;
  readonly timeoutMs: number;
  /** In ms, from any moment on. */
  readonly monotonic: () => number;
}

/** The provider's metadata, and the client of it. */
export interface Discovered {
  readonly library: Library;
  readonly client: Configuration;
}

/** Metadata older than this is read again, while the older serves. */
const FRESH_MS = 3_600_000;
/** The longest time that metadata serves when the provider cannot be asked. */
const STALE_MS = 24 * 3_600_000;
/** Least time between two reads that failed: a dead provider costs a request no wait. */
const COOLDOWN_MS = 5000;

/** Reads the metadata of a provider when it is first needed; many requests share one read. */
export function createDiscovery({ settings, timeoutMs, monotonic }: DiscoveryOptions) {
  let known: (Discovered & { readonly atMs: number }) | undefined;
  let reading: Promise<void> | undefined;
  let failure: { readonly error: unknown; readonly atMs: number } | undefined;

  const ageMs = () => (known === undefined ? Number.POSITIVE_INFINITY : monotonic() - known.atMs);

  async function read(): Promise<void> {
    const atMs = monotonic();
    try {
      // Only a deployment with providers loads the library.
      const library = await import('openid-client');
      known = { library, client: await discover(library, settings, timeoutMs), atMs };
      failure = undefined;
    } catch (error) {
      failure = { error, atMs: monotonic() };
    }
  }

  function refresh(): Promise<void> {
    if (reading === undefined && failure !== undefined)
      if (monotonic() - failure.atMs < COOLDOWN_MS) return Promise.resolve();
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return {
    /** Throws 503 `oidc_provider_unavailable` and 502 `oidc_answer_invalid`. */
    async get(): Promise<Discovered> {
      if (ageMs() > FRESH_MS) {
        const refreshing = refresh();
        if (ageMs() > STALE_MS) await refreshing;
      }
      if (known !== undefined && ageMs() <= STALE_MS) return known;
      throw failure?.error ?? providerUnavailable();
    },
  };
}

async function discover(
  library: Library,
  settings: ProviderSettings,
  timeoutMs: number,
): Promise<Configuration> {
  const { issuer, clientId, clientSecret } = settings;
  const isPlain = issuer.toLowerCase().startsWith('http:');
  // The settings allow http only for this host, and only outside production.
  const execute = [
    // Verifies the signature of the ID token although TLS delivers it.
    library.enableNonRepudiationChecks,
    ...(isPlain ? [library.allowInsecureRequests] : []),
  ];
  const discovered = await library.discovery(
    new URL(issuer),
    clientId,
    undefined,
    (as, client, body, headers) => {
      const method =
        settings.clientAuthentication ?? methodOf(as.token_endpoint_auth_methods_supported);
      const authenticate =
        method === 'client_secret_post'
          ? library.ClientSecretPost(clientSecret)
          : library.ClientSecretBasic(clientSecret);
      authenticate(as, client, body, headers);
    },
    { execute, timeout: timeoutMs / 1000, [library.customFetch]: createBoundedFetch() },
  );
  const metadata = discovered.serverMetadata();
  // The library has exceptions from this rule for single providers.
  if (new URL(metadata.issuer).href !== new URL(issuer).href)
    throw invalidProviderAnswer(new Error('the metadata names another issuer'));
  const isUsable =
    metadata.authorization_endpoint !== undefined &&
    metadata.token_endpoint !== undefined &&
    metadata.jwks_uri !== undefined;
  if (!isUsable) throw invalidProviderAnswer(new Error('the metadata lacks an endpoint'));
  return discovered;
}

/** OpenID Connect Discovery §3: where the provider names none, `client_secret_basic`. */
const methodOf = (supported: readonly string[] = ['client_secret_basic']) =>
  !supported.includes('client_secret_basic') && supported.includes('client_secret_post')
    ? 'client_secret_post'
    : 'client_secret_basic';
