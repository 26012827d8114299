import type { components, paths } from './schema.js';

export type { components, paths };
export type Schemas = components['schemas'];
export type User = Schemas['UserDetails'];
export type ListedUser = Schemas['ListedUser'];
export type Problem = Schemas['Problem'];
/** Every `code` of a problem of the service. */
export type ProblemCode = Problem['code'];
export type FieldError = Schemas['FieldError'];

type Lower = 'get' | 'put' | 'post' | 'patch' | 'delete';
export type Method = Uppercase<Lower>;
type Operation<M extends Method, P extends keyof paths> = paths[P][Lowercase<M>];
type Success = 200 | 201 | 202 | 204;
type Successful = { [S in Success]: { readonly [_ in S]: unknown } }[Success];
/** The paths that have this method. Routes that only redirect are for browsers. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: Operation<M, P> extends { responses: Successful } ? P : never;
}[keyof paths];

/** Sent as it is. */
export type FileBody =
  | string
  | Blob
  | ArrayBuffer
  | Uint8Array<ArrayBuffer>
  | ReadableStream<Uint8Array>;
type Json<C> = C extends { 'application/json': infer T } ? T : Response;
type Content<R> = R extends { content: infer C } ? Json<C> : undefined;
type Sent<C> = {
  [T in keyof C]: T extends 'application/json' | `${string}form-urlencoded` ? C[T] : FileBody;
}[keyof C];
/** The body of a success; undefined where there is none; a Response where it is not JSON. */
export type Answer<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { responses: infer R }
    ? { [S in keyof R]: S extends Success ? Content<R[S]> : never }[keyof R]
    : never;
export type Query<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;
export type Body<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { requestBody?: { content: infer C } } ? Sent<C> : never;

type PathInput<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { parameters: { path: infer V } } ? { readonly path: V } : unknown;
type BodyInput<M extends Method, P extends keyof paths> =
  Operation<M, P> extends { requestBody: { content: infer C } }
    ? { readonly body: Sent<C> }
    : { readonly body?: Body<M, P> };

export interface CallOptions {
  /** Of the whole call with its retries; default: of the client, 30 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** For a POST that may be sent again by another process; otherwise the client makes one. */
  readonly idempotencyKey?: string;
}

export type CallInput<M extends Method, P extends keyof paths> = CallOptions &
  PathInput<M, P> &
  BodyInput<M, P> & { readonly query?: Query<M, P> };
/** The input may be left out where nothing of it is required. */
export type CallArguments<M extends Method, P extends keyof paths> =
  Record<never, never> extends CallInput<M, P>
    ? [input?: CallInput<M, P>]
    : [input: CallInput<M, P>];

/** As `localStorage`; the functions may also be asynchronous. */
export interface TokenStorage {
  getItem(key: string): string | null | Promise<string | null>;
  setItem(key: string, value: string): unknown;
  removeItem(key: string): unknown;
}
