import { randomToken } from '../../../kernel/crypto/random';
import { cookieValues } from '../browser/cookie-values';

/**
 * The cookie that binds a sign-in to the browser that began it (login CSRF, RFC 9700 §4.7). One for
 * all tabs: each has a `state` of its own.
 */
export interface BrowserCookie {
  /** The value that the browser sent; undefined: none that this service made. */
  read(cookieHeader: string | undefined): string | undefined;
  /** A value for a browser that has none. */
  create(): string;
  /** The `Set-Cookie` line. */
  line(value: string): string;
}

const VALUE = /^[A-Za-z0-9_-]{43}$/;

/**
 * Over https, the prefix `__Host-` keeps subdomains from planting a value; it needs `Path=/`.
 * SameSite=Lax: the provider's redirect to the callback is a navigation from another site.
 */
export function createBrowserCookie(baseUrl: string, maxAgeSeconds: number): BrowserCookie {
  const isSecure = baseUrl.startsWith('https:');
  const name = isSecure ? '__Host-oidc' : 'oidc';
  const scope = isSecure ? 'Path=/; Secure' : 'Path=/api/auth/oidc';
  return {
    read(header) {
      const found = cookieValues(header, name);
      // Of two, one was planted: neither is trusted.
      return found.length === 1 && VALUE.test(found[0] ?? '') ? found[0] : undefined;
    },
    create: () => randomToken(32),
    line: (value) => `${name}=${value}; Max-Age=${maxAgeSeconds}; ${scope}; HttpOnly; SameSite=Lax`,
  };
}
