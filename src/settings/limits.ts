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
  idempotencyTtlSeconds: setting(
    'IDEMPOTENCY_TTL_SECONDS',
    integer(1, 2_592_000),
    '86400',
    'How long the answer to a POST with an Idempotency-Key is kept for its repeats, in seconds.',
  ),
  inFlightMax: setting(
    'ADMISSION_IN_FLIGHT_MAX',
    integer(1, 1_000_000),
    '512',
    'Most requests in flight per worker; more are refused with 503 and Retry-After.',
  ),
  loopBudgetMs: setting(
    'ADMISSION_LOOP_BUDGET_MS',
    integer(1, 60_000),
    '50',
    'Longest time for the requests of one turn of the event loop, in ms; later ones are refused with 503 and Retry-After.',
  ),
} as const;
