import type { Request, RequestHandler } from 'express';
import { Problem } from '../../../kernel/errors';
import { clientOf } from '../../../platform/http/client-info';
import { type Reply, type Route, route } from '../../../platform/http/endpoint';
import type { Dpop } from '../dpop/dpop';
import { oauthEndpoints } from './contract';
import { clientCredentials, type Form, parameter, required } from './form';
import type { OAuth } from './oauth';
import { OAuthError } from './oauth-error';
import { TOKEN_EXCHANGE } from './token-exchange';

const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' } as const;

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
    route(
      oauthEndpoints.token,
      ({ body }, req) => answered(() => token(body as Form, req)),
      limiter,
    ),
    route(
      oauthEndpoints.revoke,
      ({ body }, req) => answered(() => revoke(body as Form, req)),
      limiter,
    ),
    route(oauthEndpoints.introspect, ({ body }, req) =>
      answered(() => introspect(body as Form, req)),
    ),
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
