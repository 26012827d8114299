import { flag, integer, setting } from './setting';

export const limits = {
  enabled: setting('RATE_LIMIT', flag(), 'true', 'Enables the rate limits.'),
  windowMs: setting(
    'RATE_LIMIT_WINDOW_MS',
    integer(1000, 86_400_000),
    '60000',
    'Time window of the rate limits, in ms.',
  ),
  perClient: setting(
    'RATE_LIMIT_PER_CLIENT',
    integer(1, 100_000_000),
    '6000',
    'Maximum number of requests per client address and window, over all workers and hosts.',
  ),
  authPerClient: setting(
    'AUTH_RATE_LIMIT_PER_CLIENT',
    integer(1, 1_000_000),
    '60',
    'Maximum number of requests to register, login and other credential routes per client address and window.',
  ),
  idempotencyTtlSeconds: setting(
    'IDEMPOTENCY_TTL_SECONDS',
    integer(1, 2_592_000),
    '86400',
    'How long the response to a POST with an Idempotency-Key is stored and replayed, in seconds.',
  ),
  inFlightMax: setting(
    'ADMISSION_IN_FLIGHT_MAX',
    integer(1, 1_000_000),
    '512',
    'Maximum number of requests in flight per worker; further requests get 503 with Retry-After.',
  ),
  loopBudgetMs: setting(
    'ADMISSION_LOOP_BUDGET_MS',
    integer(1, 60_000),
    '50',
    'Longest time spent on requests in one event-loop iteration, in ms; later requests of it get 503 with Retry-After.',
  ),
} as const;
