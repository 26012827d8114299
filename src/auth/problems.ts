import { Problem, problems } from '../errors';

/** What the authentication routes refuse with. */
export const invalidCredentials = () => problems.unauthorized('invalid_credentials', 'The e-mail address or the password is wrong.');

export const invalidRefreshToken = () =>
  problems.unauthorized('invalid_refresh_token', 'The refresh token is not valid, or its session has ended.', 'error="invalid_token"');

export const refreshTokenReused = () =>
  problems.unauthorized('refresh_token_reused', 'The refresh token had been used before: its session is ended.', 'error="invalid_token"');

export const wrongPassword = () =>
  problems.invalid([{ pointer: '/current_password', code: 'wrong_password', message: 'is not the current password' }]);

/** RFC 9470: the token is good, the login that it comes from is too long ago for this. */
export const loginTooOld = (maxAgeSeconds: number) =>
  problems.unauthorized(
    'insufficient_user_authentication',
    'This needs a recent login: sign in again, or use POST /api/auth/email/change with the password.',
    `error="insufficient_user_authentication", max_age=${maxAgeSeconds}`,
  );

export const invalidMailToken = () => problems.malformed('invalid_mail_token', 'The token is wrong, has expired or was used before.');

/** For a locked account as for a crowded network; says nothing of the account or of the password. */
export const tooManyAttempts = (retryAfterSeconds: number) =>
  new Problem(429, 'too_many_attempts', 'Too many requests', {
    detail: 'Too many attempts have failed; wait before the next.',
    headers: { 'Retry-After': String(Math.max(1, Math.ceil(retryAfterSeconds))) },
  });

/** RFC 6749 §5.2: these endpoints answer faults in the standard's own form. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly code: string;
  readonly status: number;
  constructor(code: string, description: string, status = 400) {
    super(description);
    this.code = code;
    this.status = status;
  }
}
