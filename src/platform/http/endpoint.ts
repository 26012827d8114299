import type { Request, RequestHandler, Response } from 'express';
import type { z } from 'zod';
import type { Permission } from '../../kernel/permissions';
import type { ProblemCode } from '../../kernel/problem-codes';
import type { FlatHeaders } from './response-head';
import type { ResponseHeader } from './response-headers';
import type { UploadLimits } from './upload';

/** `user`: needs an access token. */
type Access = 'public' | 'user';

/** The authentication and authorization middleware of an endpoint that is not public. */
export type GuardsOf = (
  endpoint: Pick<Endpoint, 'id' | 'path' | 'permission' | 'own' | 'impersonation'>,
) => readonly RequestHandler[];

/**
 * Whether the access token of a request still stands, with this permission. Asked anew after a wait
 * or a write.
 */
export type MayStill = (req: Request, permission: Permission) => Promise<boolean>;

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/**
 * The response of one status. The OpenAPI document contains the schema, and tests check responses
 * against it.
 */
interface Answer {
  readonly description: string;
  readonly schema?: z.ZodType;
  /** Header names with their descriptions. */
  readonly headers?: Readonly<Partial<Record<ResponseHeader, string>>>;
}

/**
 * One operation of the API. Request parsing, the OpenAPI document and the allowed methods of a path
 * are derived from it.
 */
export interface Endpoint<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> {
  readonly method: Method;
  /** Express pattern, e.g. `/api/users/:id`. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  /** The group of operations that it belongs to. */
  readonly tag: string;
  readonly access: Access;
  /**
   * The permission that the user's role, or the scopes of a service account, must have. Undefined:
   * any user, for itself; service accounts cannot use the endpoint. The guards check it.
   */
  readonly permission?: Permission;
  /** The user that `:id` in the path names needs no permission. */
  readonly own?: true;
  /** False: refused to a token by which an administrator acts as the user (RFC 8693). */
  readonly impersonation?: false;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /**
   * The body in the OpenAPI document, where the parser accepts more in order to refuse it in
   * another protocol's form.
   */
  readonly documentedBody?: z.ZodType;
  /** A request without a body is refused, also where `{}` would do. */
  readonly bodyIsRequired?: true;
  /** Accepted media types of the body; default application/json. */
  readonly consumes?: readonly string[];
  /**
   * The handler reads the body itself, as a stream of any length (`openUpload`), with at most
   * `timeoutMs` instead of REQUEST_TIMEOUT_MS. `documentedBody` describes it.
   */
  readonly upload?: UploadLimits;
  /**
   * How long an answer takes says nothing of this service: it is held until something happens, or
   * lasts as long as the client sends or reads. Objectives of latency leave it out.
   */
  readonly waits?: true;
  /** Media types of the successful responses; default application/json. */
  readonly produces?: readonly string[];
  /** Examples of the bodies by media type, where one of the schema would not do for all. */
  readonly examples?: Readonly<Record<string, string>>;
  /**
   * Whether an Idempotency-Key is honoured; unless given, by POST alone. False: a repeat is
   * harmless or must not get the first response again (tokens, logout).
   */
  readonly idempotencyKey?: boolean;
  /**
   * Mostly answered from the local cache, without a promise: the handler itself enters `forRequest`
   * where it needs more.
   */
  readonly local?: true;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Problem codes besides those that follow from the other fields. */
  readonly problems?: readonly ProblemCode[];
  /** OAuth clients authenticate here, by Basic or in the form (RFC 6749 §2.3). */
  readonly clientAuthentication?: true;
}

export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

type Texts = AsyncIterable<string | Buffer>;
/** `closed` aborts when the connection is closed: a stream that waits for something ends then. */
export type ReplyStream = Texts | ((closed: AbortSignal) => Texts);

/**
 * The result of a handler. A Buffer is sent as it is (JSON bytes from the cache), an object as
 * JSON.
 */
export interface Reply {
  readonly status: number;
  readonly body?: object | Buffer;
  /** Instead of `body`: sent as fast as the client reads. The headers name its Content-Type. */
  readonly stream?: ReplyStream;
  readonly headers?: Readonly<Record<string, string>>;
  /** The prepared header list of a reply that is sent many times (`ready`). */
  readonly flat?: FlatHeaders;
  /** The bytes of the body as Latin-1, of such a reply. */
  readonly text?: string;
}

export type Handler<P, Q, B> = (
  input: Input<P, Q, B>,
  req: Request,
  res: Response,
) => Reply | Promise<Reply>;

/** An endpoint with its handler. */
export interface Route {
  readonly endpoint: Endpoint;
  /**
   * Middleware that runs after authentication and before the body is read, e.g. a stricter rate
   * limit.
   */
  readonly before: readonly RequestHandler[];
  readonly handle: Handler<unknown, unknown, unknown>;
}

/** Whether the endpoint honours an Idempotency-Key. Requests and the document use this one rule. */
export const isRepeatable = ({ method, idempotencyKey }: Endpoint): boolean =>
  idempotencyKey ?? method === 'post';

/** Whether a request without a body counts as `{}`: a POST whose JSON needs no member. */
export const isBodyOptional = ({ method, body, consumes, bodyIsRequired }: Endpoint): boolean =>
  method === 'post' &&
  consumes === undefined &&
  bodyIsRequired !== true &&
  body?.safeParse({}).success === true;

/** Declares an endpoint and keeps the types of its schemas. */
export function endpoint<
  P extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodType = z.ZodUndefined,
  B extends z.ZodType = z.ZodUndefined,
>(spec: Endpoint<P, Q, B>): Endpoint<P, Q, B> {
  return spec;
}

/**
 * Joins an endpoint and its handler; the handler's input has the types of the endpoint's schemas.
 */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  spec: Endpoint<P, Q, B>,
  handle: Handler<z.output<P>, z.output<Q>, z.output<B>>,
  ...before: RequestHandler[]
): Route {
  // The parameters have checked the types; the list of routes has no type parameters.
  return { endpoint: spec, before, handle: handle as Handler<unknown, unknown, unknown> };
}
