import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Claims = Readonly<Record<string, unknown>>;

/** A provider that lies, in the ways that a test chooses. */
export interface HostileProvider {
  readonly issuer: string;
  /** Changes of the ID token that it answers with; the nonce of the attempt is in it already. */
  idToken: (claims: Claims) => Claims;
  sign: (claims: Claims) => string;
  /** `iss` of the authorization response. */
  iss: () => string | undefined;
  /** Of the discovery document. */
  metadata: (document: Claims) => Claims;
  /** undefined: answers as it should. */
  instead: ((path: string, response: ServerResponse) => void) | undefined;
  /** The number of requests to a path. */
  count(path: string): number;
  close(): Promise<void>;
}

const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

export function signed(key: KeyObject, claims: Claims): string {
  const input = `${base64({ alg: 'RS256', kid: 'one' })}.${base64(claims)}`;
  return `${input}.${createSign('sha256').update(input).sign(key, 'base64url')}`;
}

export const unsigned = (claims: Claims): string => `${base64({ alg: 'none' })}.${base64(claims)}.`;

export async function startHostileProvider(clientId: string): Promise<HostileProvider> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const seen: string[] = [];
  let nonce = '';
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', provider.issuer);
    seen.push(url.pathname);
    const json = (body: object) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (provider.instead !== undefined) return provider.instead(url.pathname, response);
    if (url.pathname === '/.well-known/openid-configuration')
      return json(
        provider.metadata({
          issuer: provider.issuer,
          authorization_endpoint: `${provider.issuer}/auth`,
          token_endpoint: `${provider.issuer}/token`,
          jwks_uri: `${provider.issuer}/jwks`,
          authorization_response_iss_parameter_supported: true,
          id_token_signing_alg_values_supported: ['RS256', 'none', 'HS256'],
        }),
      );
    if (url.pathname === '/jwks')
      return json({
        keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }],
      });
    if (url.pathname === '/auth') {
      nonce = url.searchParams.get('nonce') ?? '';
      const back = new URL(url.searchParams.get('redirect_uri') ?? '');
      back.searchParams.set('code', 'a code');
      back.searchParams.set('state', url.searchParams.get('state') ?? '');
      const iss = provider.iss();
      if (iss !== undefined) back.searchParams.set('iss', iss);
      return response.writeHead(303, { location: back.href }).end();
    }
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: provider.issuer, sub: 'mallory', aud: clientId, iat: now, nonce };
    const idToken = provider.sign(
      provider.idToken({ ...claims, exp: now + 60, email: 'm@example.org', email_verified: true }),
    );
    return json({ access_token: 'a token', token_type: 'Bearer', id_token: idToken });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const provider: HostileProvider = {
    issuer: `http://127.0.0.1:${port}`,
    idToken: (claims) => claims,
    sign: (claims) => signed(privateKey, claims),
    iss: () => provider.issuer,
    metadata: (document) => document,
    instead: undefined,
    count: (path) => seen.filter((one) => one === path).length,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return provider;
}
