import { z } from 'zod';
import { endpoint, type Route, route } from '../http/endpoint';
import type { KeyRing } from './keys';
import { SCOPES } from './scopes';

const tag = 'discovery';

const jwk = z
  .looseObject({ kty: z.string(), kid: z.string(), alg: z.string(), use: z.literal('sig') })
  .meta({ id: 'Jwk', description: 'A public key, RFC 7517.' });

const endpoints = {
  jwks: endpoint({
    method: 'get',
    path: '/.well-known/jwks.json',
    id: 'jwks',
    summary: 'The public keys that access tokens are signed with (RFC 7517)',
    tag,
    access: 'public',
    answers: {
      200: {
        description: 'The keys; empty when a shared secret signs.',
        schema: z.object({ keys: z.array(jwk) }),
        headers: { 'Cache-Control': 'How long the keys may be kept.' },
      },
    },
  }),
  metadata: endpoint({
    method: 'get',
    path: '/.well-known/oauth-authorization-server',
    id: 'metadata',
    summary: 'Authorization server metadata (RFC 8414)',
    tag,
    access: 'public',
    answers: {
      200: {
        description: 'The metadata.',
        schema: z.looseObject({ issuer: z.string(), token_endpoint: z.string(), jwks_uri: z.string() }),
      },
    },
  }),
};

export interface DiscoveryOptions {
  readonly keys: KeyRing;
  readonly issuer: string;
  /** The service as clients see it, without a slash at the end. */
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
    jwks_uri: `${baseUrl}/.well-known/jwks.json`,
    grant_types_supported: ['refresh_token', 'client_credentials'],
    // Required by RFC 8414 §2; there is no authorization endpoint, so there are none.
    response_types_supported: [],
    scopes_supported: SCOPES,
    service_documentation: `${baseUrl}/docs`,
  };
  const metadataBytes = Buffer.from(JSON.stringify(metadata));
  return [
    route(endpoints.jwks, () => ({
      status: 200,
      headers: { 'Cache-Control': `public, max-age=${keys.jwksMaxAgeSeconds}, stale-if-error=${keys.jwksMaxAgeSeconds}` },
      body: keys.jwks(),
    })),
    route(endpoints.metadata, () => ({ status: 200, headers: { 'Cache-Control': 'public, max-age=3600' }, body: metadataBytes })),
  ];
}
