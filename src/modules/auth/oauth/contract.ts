import { z } from 'zod';
import { FORM } from '../../../platform/http/json-body';
import { shownText } from '../../../platform/http/view-schemas';
import { endpoint } from '../endpoint';
import { accessToken, expiresIn } from '../sign-in/contract';
import type { OAuthCode } from './oauth-error';
import { ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE, USER_ID_TYPE } from './token-exchange';

const oauthError = (...codes: readonly [OAuthCode, ...OAuthCode[]]) =>
  z
    .object({
      error: z.enum(codes).meta({ description: 'Stable code, for programs.' }),
      error_description: shownText(
        512,
        'Explanation for people.',
        'The client could not be authenticated.',
      ),
    })
    .meta({ description: 'RFC 6749 §5.2.' });
const faults = (...codes: readonly OAuthCode[]) => ({
  400: { description: 'RFC 6749 §5.2.', schema: oauthError('invalid_request', ...codes) },
  401: {
    description: 'The client could not be authenticated.',
    schema: oauthError('invalid_client'),
    headers: { 'WWW-Authenticate': 'Basic.' },
  },
});
const field = z.union([z.string(), z.array(z.string())]).optional();
const client = { client_id: field, client_secret: field };
/**
 * The parser accepts any form, because RFC 6749 defines the answer to a wrong one. The OpenAPI
 * document describes the right form.
 */
const documentedClient = {
  client_id: shownText(
    64,
    'Id of the service account, unless it authenticates by Basic.',
    '652f1c3e9b1d4a0012ab34cd',
  ).optional(),
  client_secret: shownText(
    128,
    'Its secret, unless it authenticates by Basic.',
    'svcsk_2Vb4nK8sT1xY6wR3',
  )
    .meta({ format: 'password' })
    .optional(),
};
const documentedToken = z
  .looseObject({
    token: shownText(
      4096,
      'An access or refresh token.',
      'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9',
    ).min(1),
    token_type_hint: shownText(64, 'Accepted and ignored.', 'access_token').optional(),
    ...documentedClient,
  })
  .meta({ id: 'TokenForm' });
/** RFC 8693: an administrator gets a token that acts as a user. */
const documentedExchange = {
  subject_token: shownText(
    64,
    'For token-exchange: id of the user to act as.',
    '652f1c3e9b1d4a0012ab34cd',
  ).optional(),
  subject_token_type: z.enum([USER_ID_TYPE]).optional(),
  actor_token: shownText(
    4096,
    'For token-exchange: access token of the administrator, who signed in recently.',
    'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9',
  ).optional(),
  actor_token_type: z.enum([ACCESS_TOKEN_TYPE]).optional(),
  requested_token_type: z.enum([ACCESS_TOKEN_TYPE]).optional(),
  reason: shownText(200, 'For token-exchange: a line for the audit log.', 'Ticket 4711').optional(),
};
/** One object for all grants: generated clients send a union of forms twice. */
const documentedGrant = z
  .looseObject({
    grant_type: z.enum(['refresh_token', 'client_credentials', TOKEN_EXCHANGE]),
    refresh_token: shownText(
      512,
      'For refresh_token: the refresh token of the last answer.',
      'kq8Z3xW1',
    )
      .min(1)
      .optional(),
    scope: shownText(
      256,
      'For client_credentials: scopes, separated by spaces. Default: all scopes of the account.',
      'users:read',
    ).optional(),
    ...documentedExchange,
    ...documentedClient,
  })
  .meta({ id: 'TokenRequest' });
const oauthTokens = z
  .object({
    access_token: accessToken,
    token_type: z.literal('Bearer'),
    expires_in: expiresIn,
    issued_token_type: z
      .enum([ACCESS_TOKEN_TYPE])
      .optional()
      .meta({ description: 'Of the grant token-exchange.' }),
    refresh_token: shownText(
      512,
      'Of the grant refresh_token: opaque, for a single use.',
      'kq8Z3xW1',
    ).optional(),
    scope: shownText(
      256,
      'Of the grant client_credentials: the scopes of the token.',
      'users:read',
    ).optional(),
  })
  .meta({ id: 'OAuthTokens', description: 'RFC 6749 §5.1.' });
const introspection = z
  .looseObject({ active: z.boolean().meta({ description: 'Whether the token is valid.' }) })
  .meta({
    id: 'Introspection',
    description: 'RFC 7662 §2.2. With the claims of a valid token.',
  });
const common = {
  method: 'post',
  tag: 'oauth',
  access: 'public',
  clientAuthentication: true,
  consumes: [FORM],
} as const;

export const oauthEndpoints = {
  token: endpoint({
    ...common,
    path: '/api/auth/token',
    id: 'token',
    dpop: true,
    idempotencyKey: false,
    summary:
      'Token endpoint (RFC 6749): grants refresh_token, client_credentials for service accounts, and token-exchange for administrators who act as a user',
    body: z.looseObject({ grant_type: field, refresh_token: field, scope: field, ...client }),
    documentedBody: documentedGrant,
    answers: {
      200: { description: 'RFC 6749 §5.1.', schema: oauthTokens },
      ...faults(
        'invalid_grant',
        'invalid_scope',
        'invalid_target',
        'unsupported_grant_type',
        'invalid_dpop_proof',
      ),
    },
    problems: ['too_many_refreshes'],
  }),
  revoke: endpoint({
    ...common,
    path: '/api/auth/revoke',
    id: 'revoke',
    dpop: true,
    idempotencyKey: false,
    summary:
      "Token revocation (RFC 7009): ends the session of a user's token, or a service account's token",
    body: z.looseObject({ token: field, token_type_hint: field, ...client }),
    documentedBody: documentedToken,
    answers: {
      200: { description: 'The token is revoked, now or earlier.' },
      ...faults('invalid_grant', 'invalid_dpop_proof'),
    },
  }),
  introspect: endpoint({
    ...common,
    path: '/api/auth/introspect',
    id: 'introspect',
    permission: 'tokens:introspect',
    idempotencyKey: false,
    summary:
      'Token introspection (RFC 7662), for service accounts with the scope tokens:introspect',
    body: z.looseObject({ token: field, token_type_hint: field, ...client }),
    documentedBody: documentedToken,
    answers: { 200: { description: 'RFC 7662 §2.2.', schema: introspection }, ...faults() },
  }),
};
