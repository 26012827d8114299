import { z } from 'zod';
import type { ProviderSettings } from '../../../kernel/config/federation';
import { Problem } from '../../../kernel/errors';
import { withTimeout } from '../../../kernel/lifecycle';
import { emailAddress } from '../../../platform/http/fields';
import type { Logger } from '../../../platform/telemetry/logger';
import { createDiscovery, type Discovered } from './discovery';
import { invalidProviderAnswer, providerUnavailable } from './problems';
import { problemOf, reasonOf } from './provider-errors';

/** The claims of a provider about the user, after every check. */
export interface ProviderClaims {
  readonly issuer: string;
  readonly subject: string;
  readonly email: string | null;
  readonly emailVerified: boolean;
  readonly name: string | null;
}

/** Derived from the `state` and the cookie, and so nowhere stored. */
export interface AttemptSecrets {
  readonly state: string;
  readonly nonce: string;
  /** RFC 7636. */
  readonly verifier: string;
}

export type CallbackParameters = Readonly<
  Partial<Record<'code' | 'state' | 'iss' | 'error' | 'error_description', string>>
>;

export interface Provider {
  readonly id: string;
  readonly name: string;
  /** Where the browser is sent. Throws 503 and 502. */
  authorizationUrl(secrets: AttemptSecrets): Promise<string>;
  /**
   * Checks the answer that the browser brought, and exchanges its code. Throws 403 `oidc_refused`,
   * 502 `oidc_answer_invalid` and 503 `oidc_provider_unavailable`.
   */
  claimsOf(answer: CallbackParameters, secrets: AttemptSecrets): Promise<ProviderClaims>;
}

export interface ProviderOptions {
  readonly settings: ProviderSettings;
  readonly redirectUri: string;
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly monotonic?: () => number;
}

/** Requests of one worker that may wait for one provider: a slow one must not hold all. */
const WAITING_MAX = 50;

const claims = z.object({
  sub: z.string().min(1).max(255),
  email: z.unknown().optional(),
  // Some providers send it as a string.
  email_verified: z.unknown().optional(),
  name: z.unknown().optional(),
});

export function createProvider(options: ProviderOptions): Provider {
  const { settings, redirectUri, timeoutMs, log, monotonic = () => performance.now() } = options;
  const { id, name, scopes } = settings;
  const discovery = createDiscovery({ settings, timeoutMs, monotonic });
  let waiting = 0;

  /** Within the time of one request, whatever the provider does. */
  async function asked<T>(work: (discovered: Discovered) => Promise<T>): Promise<T> {
    if (waiting >= WAITING_MAX) throw providerUnavailable();
    waiting += 1;
    try {
      const result = discovery.get().then(work);
      return await withTimeout(result, timeoutMs, `the provider ${id}`);
    } catch (error) {
      const problem = error instanceof Problem ? error : problemOf(error);
      const reason = reasonOf(error instanceof Problem ? error.cause : error);
      log.warn({ provider: id, code: problem.code, reason }, 'sign-in with a provider failed');
      throw problem;
    } finally {
      waiting -= 1;
    }
  }

  async function exchange(
    { library, client }: Discovered,
    answer: CallbackParameters,
    { state, nonce, verifier }: AttemptSecrets,
  ): Promise<ProviderClaims> {
    const url = new URL(redirectUri);
    url.search = new URLSearchParams(answer as Record<string, string>).toString();
    const tokens = await library.authorizationCodeGrant(client, url, {
      expectedState: state,
      expectedNonce: nonce,
      pkceCodeVerifier: verifier,
      idTokenExpected: true,
    });
    const token = tokens.claims();
    if (token === undefined) throw invalidProviderAnswer(new Error('no ID token'));
    const hasUserInfo = client.serverMetadata().userinfo_endpoint !== undefined;
    // OpenID Connect Core §5.4: with a code, the claims of scopes may come from there alone.
    const found =
      token['email'] === undefined && scopes.includes('email') && hasUserInfo
        ? await library.fetchUserInfo(client, tokens.access_token, token.sub)
        : token;
    return toClaims(token.iss, found, settings.trustsEmail);
  }

  return {
    id,
    name,
    authorizationUrl: ({ state, nonce, verifier }) =>
      asked(async ({ library, client }) => {
        const url = library.buildAuthorizationUrl(client, {
          redirect_uri: redirectUri,
          scope: scopes.join(' '),
          state,
          nonce,
          code_challenge: await library.calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
        });
        return url.href;
      }),
    claimsOf: (answer, secrets) => asked((discovered) => exchange(discovered, answer, secrets)),
  };
}

function toClaims(issuer: string, found: object, trustsEmail: boolean): ProviderClaims {
  const parsed = claims.safeParse(found);
  if (!parsed.success) throw invalidProviderAnswer(new Error('the subject is not valid'));
  const { sub: subject, name, ...rest } = parsed.data;
  const email = emailAddress.safeParse(rest.email);
  const { email_verified: said } = rest;
  // The provider's claim counts; the trust setting applies where it makes none.
  const isVerified = said === undefined ? trustsEmail : said === true || said === 'true';
  return {
    issuer,
    subject,
    email: email.success ? email.data : null,
    emailVerified: email.success && isVerified,
    name: typeof name === 'string' ? name.slice(0, 200) : null,
  };
}
