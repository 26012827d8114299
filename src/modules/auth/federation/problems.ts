import { Problem, problems } from '../../../kernel/errors';

export const noSuchProvider = () =>
  problems.notFound('There is no such provider.', 'oidc_provider_not_found');

/** One answer for every reason: a stranger learns nothing about attempts of others. */
export const invalidAttempt = () =>
  problems.malformed(
    'invalid_sign_in_attempt',
    'The sign-in was not begun in this browser, has expired or was used before: begin again.',
  );

export const invalidSignInCode = () =>
  problems.malformed(
    'invalid_provider_code',
    'The code or its verifier is wrong, or the code has expired or was used before.',
  );

export const refusedRedirect = () =>
  problems.malformed('invalid_query', 'A query parameter is not valid.', {
    errors: [
      {
        pointer: 'redirect_to',
        code: 'not_allowed',
        message: 'must be one of the pages that this service returns to (OIDC_REDIRECT_URLS)',
      },
    ],
  });

export const refusedPage = () =>
  problems.invalid([
    {
      pointer: '/redirect_to',
      code: 'not_allowed',
      message: 'must be one of the pages that this service returns to (OIDC_REDIRECT_URLS)',
    },
  ]);

const RETRY_SECONDS = 5;

export const providerUnavailable = (cause?: unknown) =>
  problems.unavailable(
    'oidc_provider_unavailable',
    'The provider did not answer, or not in time.',
    RETRY_SECONDS,
    cause,
  );

export const invalidProviderAnswer = (cause?: unknown) =>
  new Problem(502, 'oidc_answer_invalid', 'Bad gateway', {
    detail: 'The answer of the provider failed a check.',
    cause,
  });

export const refusedByProvider = (cause?: unknown) =>
  new Problem(403, 'oidc_refused', 'Forbidden', {
    detail: 'The provider, or the user there, refused the sign-in.',
    cause,
  });

export const unverifiedAtProvider = () =>
  problems.forbidden(
    'The provider names no e-mail address that it has verified.',
    'provider_email_unverified',
  );

export const accountExists = () =>
  problems.conflict(
    'account_exists',
    'An account has this e-mail address: sign in to it and link the provider there.',
  );

export const noNewAccounts = () =>
  problems.forbidden(
    'No account is linked to this identity, and sign-ins with providers create none.',
    'account_creation_disabled',
  );

export const bannedAccount = () => problems.conflict('account_banned', 'The account is banned.');

export const unverifiedAccount = () =>
  problems.forbidden(
    'Providers can be linked once the e-mail address of the account is verified.',
    'email_not_verified',
  );

export const identityTaken = () =>
  problems.conflict('identity_taken', 'The identity is linked to another account.');

export const noSuchIdentity = () =>
  problems.notFound('There is no such linked identity.', 'identity_not_found');

export const lastSignInMethod = () =>
  problems.conflict(
    'last_sign_in_method',
    'The account could not be signed in to any more: set a password or link another provider.',
  );

export const tooManyIdentities = (max: number) =>
  problems.conflict('too_many_identities', `An account has at most ${max} linked identities.`);
