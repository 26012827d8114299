import type { Request, RequestHandler } from 'express';
import { z } from 'zod';
import { endpoint, type Reply, type Route, route } from '../http/endpoint';
import { FORM } from '../http/json-body';
import { clientOf } from './client';
import type { OAuth } from './oauth';
import { clientCredentials, type Form, parameter, required } from './oauth-form';
import { OAuthError } from './problems';

const tag = 'oauth';
const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' } as const;

const oauthError = z.object({ error: z.string(), error_description: z.string() }).meta({ id: 'OAuthError', description: 'RFC 6749 §5.2.' });
const faults = {
  400: { description: 'RFC 6749 §5.2.', schema: oauthError },
  401: { description: 'invalid_client.', schema: oauthError, headers: { 'WWW-Authenticate': 'Basic.' } },
};
const field = z.union([z.string(), z.array(z.string())]).optional();
const client = { client_id: field, client_secret: field };
/** The parser takes any form, as RFC 6749 has its own answer to a wrong one; the document says what is right. */
const text = z.string().min(1);
const documentedClient = { client_id: z.string().optional(), client_secret: z.string().optional() };
const documentedToken = z.looseObject({ token: text, token_type_hint: z.string().optional(), ...documentedClient });
const common = { method: 'post', tag, access: 'public', consumes: [FORM] } as const;

const endpoints = {
  token: endpoint({
    ...common,
    path: '/api/auth/token',
    id: 'token',
    idempotencyKey: false,
    summary: 'Token endpoint (RFC 6749): grants refresh_token and, for service accounts, client_credentials',
    body: z.looseObject({ grant_type: field, refresh_token: field, scope: field, ...client }),
    documentedBody: z.union([
      z.looseObject({ grant_type: z.literal('refresh_token'), refresh_token: text, ...documentedClient }),
      z.looseObject({ grant_type: z.literal('client_credentials'), scope: z.string().optional(), ...documentedClient }),
    ]),
    answers: {
      200: {
        description: 'RFC 6749 §5.1.',
        schema: z.looseObject({ access_token: z.string(), token_type: z.literal('Bearer'), expires_in: z.int() }),
      },
      ...faults,
    },
  }),
  revoke: endpoint({
    ...common,
    path: '/api/auth/revoke',
    id: 'revoke',
    idempotencyKey: false,
    summary: 'Token revocation (RFC 7009): ends the session of a refresh or access token',
    body: z.looseObject({ token: field, token_type_hint: field, ...client }),
    documentedBody: documentedToken,
    answers: { 200: { description: 'The token is not good, now or before.' }, ...faults },
  }),
  introspect: endpoint({
    ...common,
    path: '/api/auth/introspect',
    id: 'introspect',
    idempotencyKey: false,
    summary: 'Token introspection (RFC 7662), for service accounts with the scope tokens:introspect',
    body: z.looseObject({ token: field, token_type_hint: field, ...client }),
    documentedBody: documentedToken,
    answers: { 200: { description: 'RFC 7662 §2.2.', schema: z.looseObject({ active: z.boolean() }) }, ...faults },
  }),
};

export function createOAuthRoutes({ oauth, limiter }: { oauth: OAuth; limiter: RequestHandler }): Route[] {
  const credentialsOf = (req: Request, form: Form) => clientCredentials(req.headers.authorization, form);

  /** Public clients only name themselves; who brings a secret must have the right one. */
  async function checkClient(req: Request, form: Form): Promise<void> {
    const credentials = credentialsOf(req, form);
    if (credentials?.secret !== undefined) await oauth.authenticate(credentials);
  }

  async function token(form: Form, req: Request): Promise<Reply> {
    const grant = required(form, 'grant_type');
    if (grant === 'refresh_token') {
      await checkClient(req, form);
      if (parameter(form, 'scope') !== undefined) throw new OAuthError('invalid_scope', 'Tokens of users have no scopes.');
      return ok(await oauth.refresh(required(form, 'refresh_token'), clientOf(req)));
    }
    if (grant !== 'client_credentials') throw new OAuthError('unsupported_grant_type', 'Use refresh_token or client_credentials.');
    const account = await oauth.authenticate(credentialsOf(req, form));
    return ok(oauth.clientCredentials(account, parameter(form, 'scope'), clientOf(req)));
  }

  async function revoke(form: Form, req: Request): Promise<Reply> {
    await checkClient(req, form);
    await oauth.revoke(required(form, 'token'), clientOf(req));
    return { status: 200, headers: NO_STORE };
  }

  async function introspect(form: Form, req: Request): Promise<Reply> {
    const account = await oauth.authenticate(credentialsOf(req, form));
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

const ok = (body: object): Reply => ({ status: 200, headers: NO_STORE, body });

async function answered(work: () => Promise<Reply>): Promise<Reply> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error;
    const challenge: Record<string, string> = error.status === 401 ? { 'WWW-Authenticate': 'Basic realm="api"' } : {};
    return { status: error.status, headers: { ...NO_STORE, ...challenge }, body: { error: error.code, error_description: error.message } };
  }
}
