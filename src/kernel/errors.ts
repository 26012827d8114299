import type { CodeOf, FieldCode, ProblemCode } from './problem-codes';

/**
 * One fault in one field of the request. `pointer` is an RFC 6901 JSON pointer into the body, or
 * the parameter's name.
 */
export interface FieldError {
  readonly pointer: string;
  readonly code: FieldCode;
  readonly message: string;
  /** The numbers and names in the message, for clients with messages of their own: `{min: 8}`. */
  readonly params?: Readonly<Record<string, string | number | readonly string[]>>;
}

export interface ProblemOptions {
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the body (RFC 9457 §3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * An error answer (RFC 9457), and the only error type that clients see. Every other error becomes a
 * 500 without details (http/problem.ts), so that no driver message, path or stack leaks.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  /** Stable snake_case code, for programs. */
  readonly code: ProblemCode;
  readonly title: string;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly extensions: Readonly<Record<string, unknown>> | undefined;

  constructor(status: number, code: ProblemCode, title: string, options: ProblemOptions = {}) {
    super(
      options.detail ?? title,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = options.detail;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
    this.extensions = options.extensions;
  }
}

/** Problems that several modules use. Each module has its own problems beside its code. */
export const problems = {
  malformed: (code: CodeOf<400>, detail: string, options?: ProblemOptions) =>
    new Problem(400, code, 'Bad request', { ...options, detail }),
  /** `challenge`: the attributes of RFC 6750 §3 after `Bearer`, e.g. `error="invalid_token"`. */
  unauthorized: (code: CodeOf<401>, detail: string, challenge = '') =>
    new Problem(401, code, 'Unauthorized', {
      detail,
      headers: {
        'WWW-Authenticate': `Bearer realm="api"${challenge === '' ? '' : `, ${challenge}`}`,
      },
    }),
  forbidden: (detail: string, code: CodeOf<403> = 'forbidden') =>
    new Problem(403, code, 'Forbidden', { detail }),
  notFound: (detail: string, code: CodeOf<404> = 'not_found') =>
    new Problem(404, code, 'Not found', { detail }),
  conflict: (code: CodeOf<409>, detail: string) => new Problem(409, code, 'Conflict', { detail }),
  preconditionFailed: (detail = 'The resource has changed since the version named in If-Match.') =>
    new Problem(412, 'precondition_failed', 'Precondition failed', { detail }),
  invalid: (errors: readonly FieldError[]) =>
    new Problem(422, 'validation_failed', 'Unprocessable content', {
      detail: 'One or more fields are not valid.',
      errors,
    }),
  unavailable: (code: CodeOf<503>, detail: string, retryAfterSeconds: number, cause?: unknown) =>
    new Problem(503, code, 'Service unavailable', {
      detail,
      cause,
      headers: { 'Retry-After': String(retryAfterSeconds) },
    }),
  /** Of a write whose outcome is not known, or that other readers may not see yet. */
  unconfirmed: (cause: unknown) =>
    problems.unavailable(
      'write_unconfirmed',
      'The change may have been made, and is not certain to be seen everywhere yet.',
      1,
      cause,
    ),
  /** A write to a user gave up after others came between again and again. */
  contended: () =>
    problems.unavailable('contended', 'Too many writes to this user at the same time.', 1),
} as const;
