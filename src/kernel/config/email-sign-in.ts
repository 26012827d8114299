import { flag, integer, setting } from './setting';

export const emailSignIn = {
  isEnabled: setting(
    'EMAIL_SIGN_IN',
    flag(),
    'false',
    'Whether users may sign in with a code that is mailed to their verified address.',
  ),
  ttlSeconds: setting(
    'EMAIL_SIGN_IN_TTL_SECONDS',
    integer(60, 3600),
    '600',
    'How long a mailed sign-in code is valid, in seconds.',
  ),
} as const;
