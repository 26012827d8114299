import type { Request, RequestHandler, Response } from 'express';
import { z } from 'zod';
import type { Principal } from './context';
import type { Block } from './header-block';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** What an answer of one status holds; the schema is what the OpenAPI document says and what tests check. */
export interface Answer {
  readonly description: string;
  readonly schema?: z.ZodType;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * One operation of the contract. It is the single source of the parsing of requests, of the OpenAPI document and of the
 * table of methods that a path allows.
 */
export interface Endpoint<P extends z.ZodType = z.ZodType, Q extends z.ZodType = z.ZodType, B extends z.ZodType = z.ZodType> {
  readonly method: Method;
  /** Express pattern, e.g. `/api/users/:id`. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly tag: string;
  /** `user`: any signed-in user (the handler narrows it to oneself); `admin`: administrators only. */
  readonly access: 'public' | 'user' | 'admin';
  /** The scope with which service accounts may use it; without one they may not. */
  readonly scope?: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** What the document says of the body, where the parser takes more in order to refuse it in another protocol's form. */
  readonly documentedBody?: z.ZodType;
  /** Media types accepted for the body; application/json unless said. */
  readonly consumes?: readonly string[];
  /** False: a repeat is asked anew, Idempotency-Key or not, since the answer is about this moment. */
  readonly idempotencyKey?: false;
  readonly answers: Readonly<Record<number, Answer>>;
  /** Statuses of the problems it can give, besides those that follow from the other fields. */
  readonly problems?: readonly number[];
}

export interface Input<P, Q, B> {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

/** What a handler answers. A Buffer is sent as it is (JSON bytes from the cache), an object as JSON. */
export interface Reply {
  readonly status: number;
  readonly body?: object | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Headers and body as they go out, of a reply that is given again and again (`ready`). */
  readonly block?: Block;
}

export type Handler<P, Q, B> = (input: Input<P, Q, B>, req: Request, res: Response) => Reply | Promise<Reply>;

/** An endpoint together with what answers it. */
export interface Route {
  readonly endpoint: Endpoint;
  /** Run after authentication and before the body is read, e.g. a stricter rate limit. */
  readonly before: readonly RequestHandler[];
  readonly handle: Handler<unknown, unknown, unknown>;
}

/** Declares an endpoint, keeping the precise types of its schemas. */
export function endpoint<P extends z.ZodType = z.ZodUndefined, Q extends z.ZodType = z.ZodUndefined, B extends z.ZodType = z.ZodUndefined>(
  spec: Endpoint<P, Q, B>,
): Endpoint<P, Q, B> {
  return spec;
}

/** Joins an endpoint and its handler; the handler's input has the types of the endpoint's schemas. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  spec: Endpoint<P, Q, B>,
  handle: Handler<z.output<P>, z.output<Q>, z.output<B>>,
  ...before: RequestHandler[]
): Route {
  // The types were checked above; from here on all routes stand in one list.
  return { endpoint: spec, before, handle: handle as Handler<unknown, unknown, unknown> };
}

/** The principal of a request to an endpoint whose access is not public. */
export function principalOf(req: Request): Principal {
  if (req.principal === undefined)
    throw new Error(`no principal on ${req.method} ${req.routePattern ?? req.path}: is the endpoint public?`);
  return req.principal;
}

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    instance: z.string(),
    code: z.string().meta({ description: 'Stable name, to compare in programs.' }),
    errors: z.array(z.object({ pointer: z.string(), code: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details.' });
