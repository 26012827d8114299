import type { FieldError, Problem, ProblemCode } from './types.js';

/** The service refused the request: an answer of 4xx or 5xx. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  /** `unknown_problem`: the answer has no code of the service; a proxy may have made it. */
  readonly code: ProblemCode | 'unknown_problem';
  readonly errors: readonly FieldError[];
  /** For the operators: the log has it. */
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** All members of the problem, such as `password_change_token`. */
  readonly problem: Partial<Problem>;

  constructor(status: number, problem: Partial<Problem>, headers: Headers) {
    super(problem.detail ?? problem.title ?? `HTTP status ${status}`);
    this.status = status;
    this.code = problem.code ?? 'unknown_problem';
    this.errors = problem.errors ?? [];
    this.requestId = headers.get('x-request-id') ?? undefined;
    this.retryAfterSeconds = retryAfterSeconds(headers);
    this.problem = problem;
  }
}

/**
 * No answer. `network`: none came, and the request may not be repeated or was too often; `timeout`:
 * the call has used up its time; `aborted`: by its signal; `outcome_unknown`: an update may have
 * been made, and others have changed the user since; `contended`: others changed the user in every
 * round.
 */
export type ClientErrorCode = 'network' | 'timeout' | 'aborted' | 'outcome_unknown' | 'contended';

export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Whether `error` is a problem of the service with one of these codes. */
export const isProblem = <C extends ProblemCode>(
  error: unknown,
  ...codes: C[]
): error is ProblemError & { readonly code: C } =>
  error instanceof ProblemError && codes.some((code) => code === error.code);

/** Retry-After in seconds, or as a time. */
function retryAfterSeconds(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

export function problemOf(status: number, text: string, headers: Headers): ProblemError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Of a proxy.
  }
  const isObject = typeof body === 'object' && body !== null;
  return new ProblemError(status, isObject ? (body as Partial<Problem>) : {}, headers);
}
