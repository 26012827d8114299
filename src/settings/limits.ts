import { flag, integer, setting } from './setting';

export const limits = {
  enabled: setting('RATE_LIMIT', flag(), 'true', 'Rate limits on or off.'),
  windowMs: setting('RATE_LIMIT_WINDOW_MS', integer(1000, 86_400_000), '60000', 'Window of the rate limits, in ms.'),
  perClient: setting(
    'RATE_LIMIT_PER_CLIENT',
    integer(1, 100_000_000),
    '6000',
    'Requests per client address and window, over all workers and hosts.',
  ),
  authPerClient: setting(
    'AUTH_RATE_LIMIT_PER_CLIENT',
    integer(1, 1_000_000),
    '60',
    'Requests to register, login and other credential routes per client address and window.',
  ),
} as const;
