import { createHash, randomBytes } from 'node:crypto';
import { type Arrival, createWalker, type Walker } from './browser-walk';
import type { Answer, Client } from './http';

/** As browsers see the service: cookies have the prefix `__Host-`. */
export const PUBLIC_URL = 'https://api.example.org';
/** A page of a front-end on another site. */
export const PAGE = 'https://app.example.org/signed-in';
export const CLIENT = { clientId: 'service', clientSecret: 'a secret of the tests' } as const;

export const callbackOf = (id: string) => `${PUBLIC_URL}/api/auth/oidc/${id}/callback`;

/** The settings of a service with these providers. */
export const federationSettings = (
  issuers: Readonly<Record<string, string>>,
  more: Readonly<Record<string, object>> = {},
): Record<string, string> => ({
  PUBLIC_URL,
  OIDC_REDIRECT_URLS: PAGE,
  OIDC_PROVIDERS: JSON.stringify(
    Object.entries(issuers).map(([id, issuer]) => ({
      ...{ id, name: `The provider ${id}`, issuer },
      ...{ client_id: CLIENT.clientId, client_secret: CLIENT.clientSecret },
      ...more[id],
    })),
  ),
});

export const sha256 = (text: string): string =>
  createHash('sha256').update(text).digest('base64url');

/** One page in one browser. */
export interface Front {
  readonly browser: Walker;
  readonly verifier: string;
  /** The URL by which the page begins. */
  startUrl(id: string): string;
  /** To the provider and back to the page. */
  signIn(id: string): Promise<Arrival>;
  /** The request of the page that has come back. */
  redeem(back: Arrival, verifier?: string): Promise<Answer>;
  /** All of it. */
  whole(id: string): Promise<Answer>;
  /** Begins a link, and comes back to the page. */
  beginLink(id: string, token: string): Promise<Arrival>;
  /** All of a link. */
  link(id: string, token: string): Promise<Answer>;
}

/** `client`: of the service, whose answers it may check. `stops`: where the browser stops, too. */
export function createFront(client: Client, stops: readonly string[] = []): Front {
  const browser = createWalker({
    pages: [PAGE, ...stops],
    hosts: {
      [PUBLIC_URL]: (path, cookie) => client('GET', path, { headers: { ...HTML, cookie } }),
    },
  });
  const verifier = randomBytes(32).toString('base64url');
  const challenge = sha256(verifier);
  const startUrl = (id: string) =>
    `${PUBLIC_URL}/api/auth/oidc/${id}/start?${new URLSearchParams({
      redirect_to: PAGE,
      code_challenge: challenge,
    })}`;
  const codeOf = ({ url, status, text }: Arrival) => {
    const code = url.searchParams.get('code');
    if (code === null) throw new Error(`no code: ${url.href} ${status} ${text}`);
    return code;
  };
  const signIn = (id: string) => browser.go(startUrl(id));
  const redeem = (back: Arrival, given = verifier) =>
    client('POST', '/api/auth/oidc/token', {
      body: { code: codeOf(back), code_verifier: given },
    });
  async function beginLink(id: string, token: string): Promise<Arrival> {
    const { json, status, text } = await client('POST', `/api/auth/identities/${id}/link`, {
      token,
      body: { redirect_to: PAGE, code_challenge: challenge },
    });
    if (status !== 200) throw new Error(`link answered ${status}: ${text}`);
    return browser.go(json.url);
  }
  return {
    ...{ browser, verifier, startUrl, signIn, redeem, beginLink },
    whole: async (id) => redeem(await signIn(id)),
    async link(id, token) {
      const code = codeOf(await beginLink(id, token));
      return client('POST', '/api/auth/identities', {
        token,
        body: { code, code_verifier: verifier },
      });
    },
  };
}

const HTML = { accept: 'text/html,*/*;q=0.8' };
