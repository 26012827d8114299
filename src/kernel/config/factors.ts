import { mfaPolicy } from './mfa-policy';
import { checked, integer, optional, setting } from './setting';

/** Second factors (modules/auth/factors). */
export const factors = {
  policy: setting(
    'MFA_POLICY',
    mfaPolicy(),
    'optional',
    'Second factors: off, optional or required, and other rules for some roles: optional,admin=required. The same on every host.',
  ),
  tokenTtlSeconds: setting(
    'MFA_TOKEN_TTL_SECONDS',
    integer(30, 3600),
    '300',
    'Time to give the second factor after the first step of a sign-in, in seconds.',
  ),
  totpIssuer: setting(
    'TOTP_ISSUER',
    optional(
      checked((value) =>
        /^[^:\p{C}]{1,64}$/u.test(value)
          ? undefined
          : 'must have 1 to 64 characters, without a colon',
      ),
    ),
    undefined,
    'Name of this service in authenticator apps; unset: the host of PUBLIC_URL.',
  ),
} as const;
