import type { RevocationEntry } from './ended-tokens.js';
import { type FetchJson, HttpError } from './http.js';
import { discover } from './jwks.js';
import type { Credentials, Settings } from './options.js';

/** One answer of the revocation log. */
export interface Look {
  readonly entries: readonly RevocationEntry[];
  /** The position of the next look. */
  readonly nextAfter: number;
  readonly hasMore: boolean;
  readonly leaseMs: number;
  /** How long an entry is needed: its tokens have expired after it. */
  readonly retainMs: number;
  /** The service's time. */
  readonly timeMs: number;
}

interface LookRequest {
  /** Absent: from the beginning of the log. */
  readonly after: number | undefined;
  /** Given by a verifier that will decide by the answer: writes then wait for it. */
  readonly verifier: string | undefined;
  readonly waitMs: number;
  readonly timeoutMs: number;
}

/** The service, as this verifier uses it with its credentials. */
export interface AuthService {
  look(request: LookRequest): Promise<Look>;
  /** RFC 7662: whether the service accepts the token now. */
  isActive(token: string): Promise<boolean>;
}

/** A token is replaced before it expires. */
const EARLY_MS = 30_000;

export function createAuthService(
  settings: Settings,
  credentials: Credentials,
  fetchJson: FetchJson,
  signal: AbortSignal,
): AuthService {
  let access: { readonly token: string; readonly untilMs: number } | undefined;
  const endpointOf = async (name: string) =>
    String((await discover(settings, fetchJson, signal))[name]);
  const basic = `Basic ${Buffer.from(
    `${encodeURIComponent(credentials.clientId)}:${encodeURIComponent(credentials.clientSecret)}`,
  ).toString('base64')}`;

  const form = (url: string, fields: Record<string, string>) =>
    fetchJson(url, {
      method: 'POST',
      headers: {
        authorization: basic,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams(fields).toString(),
      signal,
    });

  async function accessToken(): Promise<string> {
    if (access !== undefined && performance.now() < access.untilMs) return access.token;
    const asked = performance.now();
    const answer = await form(await endpointOf('token_endpoint'), {
      grant_type: 'client_credentials',
      scope: 'revocations:read',
    });
    const seconds = Number(answer['expires_in']);
    const lifeMs = Math.max(seconds * 500, seconds * 1000 - EARLY_MS);
    access = { token: String(answer['access_token']), untilMs: asked + lifeMs };
    return access.token;
  }

  return {
    async look({ after, verifier, waitMs, timeoutMs }) {
      const url = new URL(await endpointOf('revocations_endpoint'));
      if (after !== undefined) url.searchParams.set('after', String(after));
      if (verifier !== undefined) url.searchParams.set('verifier', verifier);
      if (waitMs > 0) url.searchParams.set('wait', String(waitMs));
      const headers = { authorization: `Bearer ${await accessToken()}` };
      try {
        return lookOf(await fetchJson(url.href, { headers, signal, timeoutMs }));
      } catch (error) {
        if (error instanceof HttpError && error.status === 401) access = undefined;
        throw error;
      }
    },
    async isActive(token) {
      const answer = await form(await endpointOf('introspection_endpoint'), { token });
      return answer['active'] === true;
    },
  };
}

function lookOf(answer: Readonly<Record<string, unknown>>): Look {
  const { data, next_after, has_more, lease_ms, retain_seconds, time } = answer;
  const timeMs = Date.parse(String(time));
  const numbers = [next_after, lease_ms, retain_seconds, timeMs];
  if (!Array.isArray(data) || numbers.some((one) => !Number.isFinite(one)))
    throw new Error('the revocation log answered in another form');
  return {
    entries: data as RevocationEntry[],
    nextAfter: next_after as number,
    hasMore: has_more === true,
    leaseMs: lease_ms as number,
    retainMs: (retain_seconds as number) * 1000,
    timeMs,
  };
}
