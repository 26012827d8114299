/** The tokens of a session. Cookie mode: no refresh token. */
export interface Tokens {
  readonly access_token: string;
  readonly refresh_token?: string | undefined;
}

interface Claims {
  readonly sub?: string;
  readonly iat?: number;
  readonly exp?: number;
}

/** Read, never trusted: the service verifies the token. */
export function claimsOf(token: string): Claims {
  try {
    const [, payload = ''] = token.split('.');
    return JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))) as Claims;
  } catch {
    return {};
  }
}

export function readTokens(text: string | null): Tokens | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return isTokens(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export const isTokens = (value: unknown): value is Tokens =>
  typeof (value as Tokens | null)?.access_token === 'string';

export interface Freshness {
  /** Measures how far this clock is from the service's, by the `Date` of an answer. */
  seen(headers: Headers): void;
  /** `expired`; `due`: it is time to refresh; `fresh`. */
  of(token: string): 'fresh' | 'due' | 'expired';
}

/** A token is refreshed in the last tenth of its life, at the most 30 s before its end. */
export function createFreshness(now: () => number = Date.now): Freshness {
  let skewMs = 0;
  return {
    seen(headers) {
      const date = Date.parse(headers.get('date') ?? '');
      // `Date` has whole seconds. Less than two of them may be the network.
      if (!Number.isFinite(date)) return;
      const off = date + 500 - now();
      skewMs = Math.abs(off) < 2000 ? 0 : off;
    },
    of(token) {
      const { iat = 0, exp } = claimsOf(token);
      if (exp === undefined) return 'fresh';
      const leftMs = exp * 1000 - (now() + skewMs);
      if (leftMs <= 0) return 'expired';
      return leftMs <= Math.min(30_000, (exp - iat) * 100) ? 'due' : 'fresh';
    },
  };
}
