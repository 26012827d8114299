import type { z } from 'zod';
import type { Endpoint } from '../../platform/http/endpoint';

/**
 * The effect of an operation on the session of its client. `opens`: it answers with a refresh
 * token, which the request may ask for in a cookie or bind to a key. `refreshes`: it takes such a
 * token. `renews`: it replaces the tokens of the session that sent the request. `ends`: the cookie
 * of the refresh token may stand for the access token.
 */
export type SessionEffect = 'opens' | 'refreshes' | 'renews' | 'ends';

/** An operation with the fields that the middleware of this module evaluates. */
interface AuthEndpoint<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>
  extends Endpoint<P, Q, B>,
    AuthFields {}

interface AuthFields {
  readonly session?: SessionEffect;
  /** A DPoP proof (RFC 9449) is read; where `session` opens or refreshes, it is anyway. */
  readonly dpop?: true;
}

/** Declares an endpoint and keeps the types of its schemas. */
export function endpoint<
  P extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
>(spec: AuthEndpoint<P, Q, B>): Endpoint<P, Q, B> {
  return spec;
}

/** The fields of an endpoint that may be of this module. */
export const authFieldsOf = (declared: object): AuthFields => declared;
