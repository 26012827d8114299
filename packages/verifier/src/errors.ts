/**
 * Why a token was not accepted. `missing_token` to `ended_token` are the client's: answer 401.
 * `keys_unavailable` and `not_current` are of this process and its connections: answer 503.
 */
export type VerifierErrorCode =
  | 'missing_token'
  | 'invalid_token'
  | 'expired_token'
  | 'ended_token'
  | 'insufficient_scope'
  | 'keys_unavailable'
  | 'not_current'
  | 'closed';

const STATUSES: Readonly<Record<VerifierErrorCode, 401 | 403 | 503>> = {
  missing_token: 401,
  invalid_token: 401,
  expired_token: 401,
  ended_token: 401,
  insufficient_scope: 403,
  keys_unavailable: 503,
  not_current: 503,
  closed: 503,
};

export class VerifierError extends Error {
  override readonly name = 'VerifierError';
  readonly code: VerifierErrorCode;
  /** The HTTP status to answer with. */
  readonly status: 401 | 403 | 503;

  constructor(code: VerifierErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = STATUSES[code];
  }
}

export const invalidToken = (cause?: unknown) =>
  new VerifierError('invalid_token', 'The access token is not valid.', cause);
export const endedToken = () =>
  new VerifierError('ended_token', 'The access token was ended before it expired.');
export const notCurrent = (cause?: unknown) =>
  new VerifierError(
    'not_current',
    'Whether the access token was ended is not known at the moment.',
    cause,
  );
