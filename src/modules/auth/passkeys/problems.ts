import { problems } from '../../../kernel/errors';

export const passkeysNotConfigured = () =>
  problems.conflict(
    'passkeys_not_configured',
    'This service has no passkeys: its PUBLIC_URL is an IP address, and PASSKEY_RP_ID is not set.',
  );

/** One answer for every reason: it does not tell whether the challenge was ever issued. */
export const invalidPasskeyChallenge = () =>
  problems.malformed(
    'invalid_passkey_challenge',
    'The challenge is not one of this request, has expired or was used before: ask for new options.',
  );

/** One answer for every reason: it does not tell which passkeys exist. */
export const invalidPasskey = () =>
  problems.unauthorized('invalid_passkey', 'The passkey is not known or its answer is not valid.');

export const passkeyNotAccepted = () =>
  problems.malformed(
    'passkey_not_accepted',
    'The answer of the authenticator is not valid for a new passkey of this service.',
  );

export const passkeyExists = () =>
  problems.conflict('passkey_exists', 'This passkey is registered already.');

export const tooManyPasskeys = (max: number) =>
  problems.conflict(
    'too_many_passkeys',
    `An account has at most ${max} passkeys: remove one first.`,
  );

export const passkeyNotFound = () =>
  problems.notFound('The account has no such passkey.', 'passkey_not_found');
