/** One fault in one field of the request. `pointer` is an RFC 6901 JSON pointer into the body, or the parameter's name. */
export interface FieldError {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

export interface ProblemOptions {
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/**
 * An answer that is not a success, in the terms of RFC 9457. The one error type that reaches a client as it is:
 * everything else becomes a bare 500 (http/problem.ts), so that no driver text, path or stack can leak.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  /** Stable snake_case name that programs may compare. */
  readonly code: string;
  readonly title: string;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: string, title: string, options: ProblemOptions = {}) {
    super(options.detail ?? title, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = status;
    this.code = code;
    this.title = title;
    this.detail = options.detail;
    this.errors = options.errors;
    this.headers = options.headers ?? {};
  }
}

/** Problems that more than one part of the service raises; those of one feature stand beside it. */
export const problems = {
  malformed: (code: string, detail: string, options?: ProblemOptions) => new Problem(400, code, 'Bad request', { ...options, detail }),
  /** `challenge` is what RFC 6750 §3 wants after `Bearer`, e.g. `error="invalid_token"`. */
  unauthorized: (code: string, detail: string, challenge = '') =>
    new Problem(401, code, 'Unauthorized', {
      detail,
      headers: { 'WWW-Authenticate': `Bearer realm="api"${challenge === '' ? '' : `, ${challenge}`}` },
    }),
  forbidden: (detail: string, code = 'forbidden') => new Problem(403, code, 'Forbidden', { detail }),
  notFound: (detail: string, code = 'not_found') => new Problem(404, code, 'Not found', { detail }),
  conflict: (code: string, detail: string) => new Problem(409, code, 'Conflict', { detail }),
  preconditionFailed: () =>
    new Problem(412, 'precondition_failed', 'Precondition failed', {
      detail: 'The resource has changed since the version named in If-Match.',
    }),
  invalid: (errors: readonly FieldError[]) =>
    new Problem(422, 'validation_failed', 'Unprocessable content', {
      detail: 'One or more fields are not valid.',
      errors,
    }),
  unavailable: (code: string, detail: string, retryAfterSeconds: number, cause?: unknown) =>
    new Problem(503, code, 'Service unavailable', {
      detail,
      cause,
      headers: { 'Retry-After': String(retryAfterSeconds) },
    }),
} as const;
