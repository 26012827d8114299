import type { Request, RequestHandler } from 'express';
import { z } from 'zod';
import { Problem } from '../../../kernel/errors';
import { clientOf } from '../../../platform/http/client-info';
import { type Reply, type Route, route } from '../../../platform/http/endpoint';
import { FORM } from '../../../platform/http/json-body';
import { shownText } from '../../../platform/http/view-schemas';
import type { Dpop } from '../dpop/dpop';
import { endpoint } from '../endpoint';
import { type OAuthCode, OAuthError } from '../problems';
import { accessToken, expiresIn } from '../sign-in/contract';
import { clientCredentials, type Form, parameter, required } from './form';
import type { OAuth } from './oauth';
import { ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE, USER_ID_TYPE } from './token-exchange';

const tag = 'oauth';
const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' } as const;

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
  tag,
  access: 'public',
  clientAuthentication: true,
  consumes: [FORM],
} as const;

const endpoints = {
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

export function createOAuthRoutes({
  oauth,
  dpop,
  limiter,
}: {
  oauth: OAuth;
  dpop: Dpop;
  limiter: RequestHandler;
}): Route[] {
  const credentialsOf = (req: Request, form: Form) =>
    clientCredentials(req.headers.authorization, form);

  /** Public clients send no secret; a secret that is sent must be right. */
  async function checkClient(req: Request, form: Form): Promise<void> {
    const credentials = credentialsOf(req, form);
    if (credentials?.secret !== undefined) await oauth.authenticate(credentials, clientOf(req));
  }

  async function token(form: Form, req: Request): Promise<Reply> {
    const grant = required(form, 'grant_type');
    if (grant === 'refresh_token') {
      await checkClient(req, form);
      if (parameter(form, 'scope') !== undefined)
        throw new OAuthError('invalid_scope', 'Tokens of users have no scopes.');
      const refreshToken = required(form, 'refresh_token');
      return ok(await oauth.refresh(refreshToken, dpop.proofOf(req), clientOf(req)));
    }
    if (grant === TOKEN_EXCHANGE) {
      await checkClient(req, form);
      return ok(await oauth.exchange(form, clientOf(req)));
    }
    if (grant !== 'client_credentials')
      throw new OAuthError(
        'unsupported_grant_type',
        'Use refresh_token, client_credentials or token-exchange.',
      );
    const account = await oauth.authenticate(credentialsOf(req, form), clientOf(req));
    return ok(oauth.clientCredentials(account, parameter(form, 'scope'), clientOf(req)));
  }

  async function revoke(form: Form, req: Request): Promise<Reply> {
    await checkClient(req, form);
    await oauth.revoke(required(form, 'token'), dpop.proofOf(req), clientOf(req));
    return { status: 200, headers: NO_STORE };
  }

  async function introspect(form: Form, req: Request): Promise<Reply> {
    const account = await oauth.authenticate(credentialsOf(req, form), clientOf(req));
    if (!account.scopes.includes('tokens:introspect')) {
      throw new OAuthError('invalid_client', 'The account needs the scope tokens:introspect.', 401);
    }
    return ok(await oauth.introspect(required(form, 'token')));
  }

  return [
    route(endpoints.token, ({ body }, req) => answered(() => token(body as Form, req)), limiter),
    route(endpoints.revoke, ({ body }, req) => answered(() => revoke(body as Form, req)), limiter),
    route(endpoints.introspect, ({ body }, req) => answered(() => introspect(body as Form, req))),
  ];
}

/** RFC 9449 §5. */
const isInvalidProof = (error: unknown): error is Problem =>
  error instanceof Problem && error.code === 'invalid_dpop_proof';

const ok = (body: object | Buffer): Reply => ({ status: 200, headers: NO_STORE, body });

async function answered(work: () => Promise<Reply>): Promise<Reply> {
  try {
    return await work();
  } catch (thrown) {
    const error = isInvalidProof(thrown)
      ? new OAuthError('invalid_dpop_proof', thrown.message)
      : thrown;
    if (!(error instanceof OAuthError)) throw error;
    const challenge: Record<string, string> =
      error.status === 401 ? { 'WWW-Authenticate': 'Basic realm="api"' } : {};
    return {
      status: error.status,
      headers: { ...NO_STORE, ...challenge },
      body: { error: error.code, error_description: error.message },
    };
  }
}
