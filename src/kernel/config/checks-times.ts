import { auth as authSettings } from './auth';
import { cache as cacheSettings } from './cache';
import { atMost, type Check, fault } from './check';
import { sessions as sessionSettings } from './sessions';
import type { Setting } from './setting';
import type { Config } from './settings';

/** A default gives way to a shorter limit that was set: it is no contradiction. */
const unlessDefault = (value: number, { fallback }: Setting<number>): number =>
  String(value) === fallback ? 0 : value;

export const lifetimeChecks: readonly Check[] = [
  ({ sessions }) =>
    atMost(
      'SESSION_IDLE_TTL_SECONDS',
      unlessDefault(sessions.idleTtlSeconds, sessionSettings.idleTtlSeconds),
      'SESSION_MAX_TTL_SECONDS',
      sessions.maxTtlSeconds,
      'no session lives longer',
    ),
  ({ auth, sessions }) =>
    atMost(
      'ACCESS_TOKEN_TTL_SECONDS',
      unlessDefault(auth.accessTokenTtlSeconds, authSettings.accessTokenTtlSeconds),
      'SESSION_MAX_TTL_SECONDS',
      sessions.maxTtlSeconds,
      'a token would outlive its session',
    ),
  ({ cache }) =>
    atMost(
      'CACHE_NEGATIVE_TTL_SECONDS',
      unlessDefault(cache.negativeTtlSeconds, cacheSettings.negativeTtlSeconds),
      'CACHE_TTL_SECONDS',
      cache.ttlSeconds,
      'negative entries must not outlive positive ones',
    ),
];

const DAY_SECONDS = 86_400;

/** The log has an event for as long as it may have to be sent again. */
export const eventChecks: readonly Check[] = [
  ({ events, webhooks }) =>
    fault(
      retryDays(webhooks) > events.keepDays,
      'EVENTS_KEEP_DAYS',
      () =>
        `must be at least ${Math.ceil(retryDays(webhooks))}, the sum of WEBHOOKS_RETRY_SECONDS in days: an event would expire before the last attempts to deliver it; it is ${events.keepDays}`,
    ),
  ({ events, webhooks }) =>
    fault(
      webhooks.disableAfterDays > events.keepDays,
      'EVENTS_KEEP_DAYS',
      () =>
        `must be at least WEBHOOKS_DISABLE_AFTER_DAYS (${webhooks.disableAfterDays}): events for a receiver that is away would expire while it is still waited for; it is ${events.keepDays}`,
    ),
];

const retryDays = ({ retrySeconds }: Config['webhooks']) =>
  (retrySeconds ?? []).reduce((sum, one) => sum + one, 0) / DAY_SECONDS;
