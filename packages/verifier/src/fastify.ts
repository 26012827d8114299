import { assertBearer, type BearerOptions, claimsOf, refusalOf } from './bearer.js';
import type { AccessTokenClaims } from './claims.js';
import { VerifierError } from './errors.js';
import type { Verifier } from './verifier.js';

/** The members used of a request and a reply of Fastify 4 or 5. */
interface RequestLike {
  readonly headers: { readonly authorization?: string | undefined };
}
interface ReplyLike {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(body: string): unknown;
}

/**
 * A Fastify hook: `fastify.addHook('onRequest', fastifyVerifier(verifier))`. `request.auth` has the
 * claims; else it answers 401, 403 or 503. Declare the member for Fastify with
 * `fastify.decorateRequest('auth', null)`.
 */
export function fastifyVerifier(verifier: Verifier, options: BearerOptions = {}) {
  assertBearer('fastifyVerifier', verifier, options);
  return async (request: RequestLike, reply: ReplyLike): Promise<unknown> => {
    try {
      const claims = await claimsOf(verifier, request.headers.authorization, options);
      (request as RequestLike & { auth?: AccessTokenClaims }).auth = claims;
      return undefined;
    } catch (error) {
      if (!(error instanceof VerifierError)) throw error;
      const { status, headers, body } = refusalOf(error);
      reply.code(status);
      reply.headers({ ...headers });
      reply.send(body);
      return reply;
    }
  };
}
