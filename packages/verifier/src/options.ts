/** Credentials of a service account: with them the verifier learns which tokens were ended. */
export interface Credentials {
  /** It needs the scope `revocations:read`, and `tokens:introspect` to introspect. */
  readonly clientId: string;
  readonly clientSecret: string;
}

/** What happened in the background. For logs and metrics. */
export type VerifierEvent =
  /** The verifier knows every token that was ended, and decides by itself. */
  | { readonly kind: 'current' }
  /** It has been silent for longer than its lease: see `whenSilent`. */
  | { readonly kind: 'silent'; readonly error: unknown }
  /** A look, a token request or the discovery failed. It will be tried again. */
  | { readonly kind: 'failed'; readonly step: string; readonly error: unknown }
  /** Its position in the log no longer exists: it reads the log from the beginning. */
  | { readonly kind: 'restarted' };

export interface VerifierOptions {
  /** The `iss` of the tokens, exactly, and where the metadata of RFC 8414 is. */
  readonly issuer: string;
  /** The `aud` of the tokens. */
  readonly audience: string;
  /** Without them tokens are accepted until they expire, even when their session has ended. */
  readonly credentials?: Credentials;
  /**
   * What `verify` does while the verifier cannot know which tokens were ended: `introspect` asks
   * the service about each token (RFC 7662), `refuse` throws `not_current`. Default: `introspect`.
   */
  readonly whenSilent?: 'introspect' | 'refuse';
  /** Tolerated difference between the clocks of the issuer and this host. Default: 5. */
  readonly clockToleranceSeconds?: number;
  /** Bound of one request. Default: 5000. */
  readonly requestTimeoutMs?: number;
  /** Signatures that need not be verified again. Default: 10,000; 0 verifies each time. */
  readonly maxCachedTokens?: number;
  /**
   * Ended tokens, sessions and users that are remembered. Past it the oldest are forgotten, and
   * tokens from before them are treated as while silent. Default: 100,000.
   */
  readonly maxEnded?: number;
  /** Accepts http: for hosts other than this one. For tests. */
  readonly allowHttp?: boolean;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch;
  readonly onEvent?: (event: VerifierEvent) => void;
}

export interface Settings extends Omit<Required<VerifierOptions>, 'credentials'> {
  readonly credentials: Credentials | undefined;
}

export function settingsOf(options: VerifierOptions): Settings {
  const { issuer, audience, credentials } = options;
  if (typeof issuer !== 'string' || typeof audience !== 'string' || audience === '')
    throw new TypeError('createVerifier needs an issuer and an audience');
  const settings: Settings = {
    issuer,
    audience,
    credentials,
    whenSilent: options.whenSilent ?? 'introspect',
    clockToleranceSeconds: atLeast(0, options.clockToleranceSeconds ?? 5),
    requestTimeoutMs: atLeast(1, options.requestTimeoutMs ?? 5000),
    maxCachedTokens: atLeast(0, options.maxCachedTokens ?? 10_000),
    maxEnded: atLeast(1, options.maxEnded ?? 100_000),
    allowHttp: options.allowHttp ?? false,
    fetch: options.fetch ?? globalThis.fetch,
    onEvent: options.onEvent ?? (() => undefined),
  };
  assertSecure(new URL(issuer), settings.allowHttp);
  return settings;
}

function atLeast(least: number, value: number): number {
  if (!Number.isFinite(value) || value < least)
    throw new TypeError(`a number of at least ${least} was expected, not ${value}`);
  return value;
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Keys that were fetched without TLS could be anybody's. */
export function assertSecure(url: URL, allowHttp: boolean): void {
  if (url.protocol === 'https:') return;
  if (url.protocol === 'http:' && (allowHttp || LOOPBACK.test(url.hostname))) return;
  throw new TypeError(`${url.origin} must be https: (or on this host)`);
}
