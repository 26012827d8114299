import type { VerifierEvent } from './events.js';
import {
  assertOptions,
  type Checks,
  count,
  isBoolean,
  isFunction,
  LONGEST_MS,
  oneOf,
  text,
} from './option-checks.js';
import { reporterOf } from './reporter.js';

/** Credentials of a service account: with them the verifier learns which tokens were ended. */
export interface Credentials {
  /** It needs the scope `revocations:read`, and `tokens:introspect` to introspect. */
  readonly clientId: string;
  readonly clientSecret: string;
}

export interface VerifierOptions {
  /** The `iss` of the tokens, exactly, and where the metadata of RFC 8414 is. */
  readonly issuer: string;
  /** The `aud` of the tokens. */
  readonly audience: string;
  /** Without them tokens are accepted until they expire, even when their session has ended. */
  readonly credentials?: Credentials;
  /**
   * The behaviour of `verify` while the verifier cannot know which tokens ended: `introspect` asks
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
  /** When it throws, the process is warned, and the verifier goes on. */
  readonly onEvent?: (event: VerifierEvent) => void;
}

export interface Settings extends Omit<Required<VerifierOptions>, 'credentials' | 'onEvent'> {
  readonly credentials: Credentials | undefined;
  /** Throws nothing. */
  readonly onEvent: (event: VerifierEvent) => void;
}

const CREDENTIALS = {
  checks: {
    clientId: text('the id of a service account. Leave out credentials where there is none'),
    clientSecret: text('the secret of that service account'),
  },
  needed: ['clientId', 'clientSecret'],
  within: 'credentials.',
} as const;

const CHECKS: Checks<VerifierOptions> = {
  issuer: {
    fits: (value) => typeof value === 'string' && URL.canParse(value),
    must: 'must be the address of the service, as its tokens have it in "iss"',
  },
  audience: text('the "aud" of the tokens'),
  credentials: {
    fits: (value) => typeof value === 'object' && value !== null,
    must: 'must be { clientId, clientSecret } of a service account',
  },
  whenSilent: oneOf('introspect', 'refuse'),
  clockToleranceSeconds: count(0),
  requestTimeoutMs: count(1, LONGEST_MS),
  maxCachedTokens: count(0),
  maxEnded: count(1),
  allowHttp: isBoolean,
  fetch: isFunction,
  onEvent: isFunction,
};

export function settingsOf(options: VerifierOptions): Settings {
  const whose = 'createVerifier';
  assertOptions(whose, options, { checks: CHECKS, needed: ['issuer', 'audience'] });
  const { issuer, audience, credentials } = options;
  if (credentials !== undefined) assertOptions(whose, credentials, CREDENTIALS);
  const settings: Settings = {
    issuer,
    audience,
    credentials,
    whenSilent: options.whenSilent ?? 'introspect',
    clockToleranceSeconds: options.clockToleranceSeconds ?? 5,
    requestTimeoutMs: options.requestTimeoutMs ?? 5000,
    maxCachedTokens: options.maxCachedTokens ?? 10_000,
    maxEnded: options.maxEnded ?? 100_000,
    allowHttp: options.allowHttp ?? false,
    fetch: options.fetch ?? globalThis.fetch,
    onEvent: reporterOf(options.onEvent),
  };
  assertSecure(new URL(issuer), settings.allowHttp);
  return settings;
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Keys that were fetched without TLS could be anybody's. */
export function assertSecure(url: URL, allowHttp: boolean): void {
  if (url.protocol === 'https:') return;
  if (url.protocol === 'http:' && (allowHttp || LOOPBACK.test(url.hostname))) return;
  throw new TypeError(`${url.origin} must be https: (or on this host)`);
}
