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
  begunMax: setting(
    'EMAIL_SIGN_INS_MAX',
    integer(10, 10_000_000),
    '100000',
    'Maximum number of sign-ins by mail that begin within an hour and EMAIL_SIGN_IN_TTL_SECONDS, over all hosts; further requests get 503. An IPv6 /48 or IPv4 /24 gets 1/32 of them, a /32 or /16 1/8; further requests get 429.',
  ),
} as const;
