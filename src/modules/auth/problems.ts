import { Problem, problems } from '../../kernel/errors';
import { isKnownBy, PASSWORD_IS_IDENTITY } from './passwords/identity';

export const invalidCredentials = () =>
  problems.unauthorized('invalid_credentials', 'The e-mail address or the password is wrong.');

/** One answer for every reason: details would help to forge tokens. */
export function invalidToken(cause?: unknown) {
  const problem = problems.unauthorized(
    'invalid_token',
    'The access token is malformed or revoked.',
    'error="invalid_token"',
  );
  problem.cause = cause;
  return problem;
}

/** For a token that is valid otherwise: its client only needs to refresh it. */
export const tokenExpired = () =>
  problems.unauthorized(
    'token_expired',
    'The access token has expired.',
    'error="invalid_token", error_description="The token has expired."',
  );

export const invalidRefreshToken = () =>
  problems.unauthorized(
    'invalid_refresh_token',
    'The refresh token is not valid, or its session has ended.',
    'error="invalid_token"',
  );

export const refreshTokenReused = () =>
  problems.unauthorized(
    'refresh_token_reused',
    'The refresh token was used before. Its session has been ended.',
    'error="invalid_token"',
  );

/** RFC 9449 §5. */
export const invalidDpopProof = (reason: string) =>
  problems.malformed('invalid_dpop_proof', `The DPoP proof is not valid: ${reason}.`);

/** The session is bound to a key, and the request shows no possession of it. */
export const dpopProofMissing = () =>
  problems.malformed(
    'invalid_dpop_proof',
    'The refresh token is bound to a key: send a DPoP proof by that key.',
  );

/** The first step of the sign-in had a proof. */
export const dpopProofOfFirstStep = () =>
  problems.malformed(
    'invalid_dpop_proof',
    'The sign-in began with a DPoP proof: send one by the same key with the factor.',
  );

/** The first step of the sign-in asked for the cookie. */
export const refreshTokenModeMissing = () =>
  problems.malformed(
    'invalid_refresh_token_mode',
    'The sign-in began with Refresh-Token-Mode: cookie: send it with the factor too.',
  );

export const originNotAllowed = () =>
  problems.forbidden(
    'Only pages of the origins in BROWSER_ORIGINS may use the cookie of the refresh token.',
    'origin_not_allowed',
  );

const retryAfter = (seconds: number) => ({
  'Retry-After': String(Math.max(1, Math.ceil(seconds))),
});

/** Far above the rate of a client that lost an answer. The session stays valid. */
export const tooManyRefreshes = (retryAfterSeconds: number) =>
  new Problem(429, 'too_many_refreshes', 'Too many requests', {
    detail:
      'The session was refreshed too often within a few seconds. Wait before the next refresh.',
    headers: retryAfter(retryAfterSeconds),
  });

export const wrongPassword = () =>
  problems.invalid([
    {
      pointer: '/current_password',
      code: 'wrong_password',
      message: 'is not the current password',
    },
  ]);

export const samePassword = () =>
  problems.invalid([
    {
      pointer: '/new_password',
      code: 'password_unchanged',
      message: 'must differ from the current password',
    },
  ]);

/** Throws 422 when the new password is the name or the e-mail address of the account. */
export function refuseIdentity(
  password: string,
  account: { readonly name: string; readonly email: string } | null,
  pointer = '/new_password',
): void {
  if (account !== null && isKnownBy(password, account))
    throw problems.invalid([{ pointer, ...PASSWORD_IS_IDENTITY }]);
}

export const passwordExists = () =>
  problems.conflict(
    'password_exists',
    'The account has a password: send a password reset instead of an invitation.',
  );

export const noPassword = () =>
  problems.conflict(
    'no_password',
    'The account has no password: send an invitation instead of a password reset.',
  );

export const mailNotConfigured = () =>
  problems.conflict('mail_not_configured', 'This service sends no mails: SMTP_URL is not set.');

export const mailQueueFull = () =>
  problems.unavailable('mail_queue_full', 'Too many mails are waiting at the moment.', 30);

export const tooManyMails = (retryAfterSeconds: number) =>
  new Problem(429, 'too_many_mails', 'Too many requests', {
    detail: 'Too many mails of this kind were sent to the account within the hour.',
    headers: retryAfter(retryAfterSeconds),
  });

export const noSuchUser = () => problems.notFound('There is no such user.', 'user_not_found');

export const invalidMfaToken = () =>
  problems.malformed(
    'invalid_mfa_token',
    'The token is wrong, has expired or was used, or the account has changed: sign in again.',
  );

/** One answer for a wrong code and a used one. */
export const wrongCode = () =>
  problems.invalid([
    { pointer: '/code', code: 'wrong_code', message: 'is not a valid code, or was used before' },
  ]);

export const mfaDisabled = () =>
  problems.forbidden('Second factors are switched off for this account.', 'mfa_disabled');

export const factorNotFound = () =>
  problems.notFound('The account has no such factor.', 'factor_not_found');

export const tooManyFactors = (max: number) =>
  problems.conflict('too_many_factors', `An account has at most ${max} factors of a kind.`);

export const factorRequired = () =>
  problems.conflict(
    'factor_required',
    'The account needs a second factor, and this is its last: add another one first.',
  );

export const noFactor = () =>
  problems.conflict('no_factor', 'The account has no second factor: add one first.');

/** RFC 9470: the session was opened, or stepped up, without the second factor. */
export const factorTooOld = (maxAgeSeconds: number) =>
  problems.unauthorized(
    'insufficient_user_authentication',
    'This operation needs a recent second factor: POST /api/auth/mfa/step-up.',
    `error="insufficient_user_authentication", acr_values="aal2", max_age=${maxAgeSeconds}`,
  );

/** RFC 9470: the token is valid, but its login is too old for this operation. */
export const loginTooOld = (maxAgeSeconds: number) =>
  problems.unauthorized(
    'insufficient_user_authentication',
    'This operation needs a recent login: sign in again.',
    `error="insufficient_user_authentication", max_age=${maxAgeSeconds}`,
  );

/** The password is right, and opens no session before it is replaced. */
export const passwordChangeRequired = (token: string, ttlSeconds: number) =>
  new Problem(403, 'password_change_required', 'Forbidden', {
    detail: 'The password must be replaced: POST /api/auth/password/required.',
    extensions: { password_change_token: token, expires_in: ttlSeconds },
  });

export const invalidPasswordChangeToken = () =>
  problems.malformed(
    'invalid_password_change_token',
    'The token is wrong, has expired or was used before: sign in again.',
  );

/** One answer for every reason: a wrong code, a spent token, an account that has changed since. */
export const invalidSignInCode = () =>
  problems.malformed('invalid_sign_in_code', 'The code is wrong, has expired or was used before.');

export const emailSignInDisabled = () =>
  problems.forbidden(
    'This service does not sign in by mailed codes (EMAIL_SIGN_IN).',
    'email_sign_in_disabled',
  );

export const invalidMailToken = () =>
  problems.malformed('invalid_mail_token', 'The token is wrong, has expired or was used before.');

/** The same for a locked account and a locked network: it reveals nothing about the account. */
export const tooManyAttempts = (retryAfterSeconds: number) =>
  new Problem(429, 'too_many_attempts', 'Too many requests', {
    detail: 'Too many attempts have failed. Wait before the next one.',
    headers: retryAfter(retryAfterSeconds),
  });

export const hashQueueFull = (retryAfterSeconds: number) =>
  problems.unavailable(
    'hash_queue_full',
    'Too many passwords are being checked at the moment.',
    retryAfterSeconds,
  );

export const compromisedPassword = (pointer: string) =>
  problems.invalid([{ pointer, ...PASSWORD_COMPROMISED }]);

export const PASSWORD_COMPROMISED = {
  code: 'password_compromised',
  message: 'is in a list of leaked passwords',
} as const;

/** A password that could not be looked up is not accepted. */
export const passwordCheckUnavailable = () =>
  problems.unavailable(
    'password_check_unavailable',
    'New passwords cannot be compared with the list of leaked passwords at the moment.',
    5,
  );
