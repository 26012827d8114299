import { z } from 'zod';
import { SCOPES } from '../../../kernel/permissions';
import { endpoint, type Route, route } from '../../../platform/http/endpoint';
import { shownText } from '../../../platform/http/view-schemas';
import { DPOP_ALGORITHMS } from '../dpop/public-jwk';
import type { KeyRing } from '../keys/keys';
import { TOKEN_EXCHANGE } from './token-exchange';

const tag = 'discovery';

const jwk = z
  .looseObject({
    kty: z.enum(['EC', 'OKP', 'RSA']),
    kid: shownText(
      64,
      'Thumbprint of the key (RFC 7638).',
      'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
    ),
    alg: z.enum(['ES256', 'EdDSA', 'RS256']),
    use: z.literal('sig'),
  })
  .meta({ id: 'Jwk', description: 'A public key, RFC 7517.' });

const uri = (example: string) =>
  z.string().meta({ format: 'uri', maxLength: 2048, examples: [example] });
const names = z.array(z.string().meta({ maxLength: 64 })).max(100);
const serverMetadata = z
  .looseObject({
    issuer: uri('https://api.example.org'),
    token_endpoint: uri('https://api.example.org/api/auth/token'),
    revocation_endpoint: uri('https://api.example.org/api/auth/revoke'),
    introspection_endpoint: uri('https://api.example.org/api/auth/introspect'),
    revocations_endpoint: uri('https://api.example.org/api/auth/revocations'),
    jwks_uri: uri('https://api.example.org/.well-known/jwks.json'),
    grant_types_supported: names,
    response_types_supported: names,
    scopes_supported: names,
    dpop_signing_alg_values_supported: names,
    service_documentation: uri('https://api.example.org/docs'),
  })
  .meta({ id: 'ServerMetadata' });

const endpoints = {
  jwks: endpoint({
    method: 'get',
    path: '/.well-known/jwks.json',
    id: 'jwks',
    summary: 'Get the public keys of access tokens (RFC 7517)',
    tag,
    access: 'public',
    answers: {
      200: {
        description: 'The keys. Empty with a shared secret.',
        schema: z.object({ keys: z.array(jwk).max(1000) }).meta({ id: 'JwkSet' }),
        headers: { 'Cache-Control': 'How long the keys may be cached.' },
      },
    },
  }),
  metadata: endpoint({
    method: 'get',
    path: '/.well-known/oauth-authorization-server',
    id: 'metadata',
    summary: 'Get the authorization server metadata (RFC 8414)',
    tag,
    access: 'public',
    answers: {
      200: {
        description: 'The metadata.',
        schema: serverMetadata,
      },
    },
  }),
};

export interface DiscoveryOptions {
  readonly keys: KeyRing;
  readonly issuer: string;
  /** The public URL of the service, without a slash at the end. */
  readonly baseUrl: string;
}

export function createDiscoveryRoutes({ keys, issuer, baseUrl }: DiscoveryOptions): Route[] {
  const authMethods = ['client_secret_basic', 'client_secret_post'];
  const metadata = {
    issuer,
    token_endpoint: `${baseUrl}/api/auth/token`,
    token_endpoint_auth_methods_supported: [...authMethods, 'none'],
    revocation_endpoint: `${baseUrl}/api/auth/revoke`,
    revocation_endpoint_auth_methods_supported: [...authMethods, 'none'],
    introspection_endpoint: `${baseUrl}/api/auth/introspect`,
    introspection_endpoint_auth_methods_supported: authMethods,
    revocations_endpoint: `${baseUrl}/api/auth/revocations`,
    jwks_uri: `${baseUrl}/.well-known/jwks.json`,
    grant_types_supported: ['refresh_token', 'client_credentials', TOKEN_EXCHANGE],
    // Required by RFC 8414 §2. Empty: there is no authorization endpoint.
    response_types_supported: [],
    scopes_supported: SCOPES,
    dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
    service_documentation: `${baseUrl}/docs`,
  };
  const metadataBytes = Buffer.from(JSON.stringify(metadata));
  return [
    route(endpoints.jwks, () => ({
      status: 200,
      headers: {
        'Cache-Control': `public, max-age=${keys.jwksMaxAgeSeconds}, stale-if-error=${keys.jwksMaxAgeSeconds}`,
      },
      body: keys.jwks(),
    })),
    route(endpoints.metadata, () => ({
      status: 200,
      headers: { 'Cache-Control': 'public, max-age=3600' },
      body: metadataBytes,
    })),
  ];
}
