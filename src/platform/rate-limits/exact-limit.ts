import type { RequestHandler } from 'express';
import { type ClientRateLimitInfo, rateLimit, type Store } from 'express-rate-limit';
import { networkOf } from '../http/client-networks';
import { forRequest } from '../telemetry/request-work';
import { type LimitOptions, tooManyRequests } from './limit';

/**
 * A limit that counts each request over all workers and hosts, for routes where an exact count
 * matters. When the counters are unavailable, requests pass: a limiter must not stop the service.
 */
export function limitExactly({
  name,
  windowMs,
  limit,
  counters,
  enabled,
  now,
  digest,
}: LimitOptions): RequestHandler {
  const count = rateLimit({
    windowMs,
    limit,
    identifier: name,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    passOnStoreError: true,
    skip: () => !enabled,
    keyGenerator: (req) => digest(networkOf(req)),
    store: sharedStore({ counters, name, windowMs, now }),
    handler: (_req, res, next) => {
      const retryAfter = res.getHeader('Retry-After');
      next(
        tooManyRequests(
          retryAfter === undefined ? { 'Retry-After': String(Math.ceil(windowMs / 1000)) } : {},
        ),
      );
    },
  });
  return (req, res, next) => forRequest(req.context, () => count(req, res, next));
}

function sharedStore({
  counters,
  name,
  windowMs,
  now,
}: Pick<LimitOptions, 'counters' | 'name' | 'windowMs' | 'now'>): Store {
  const keyOf = (key: string) => `limit:${name}:${key}`;
  return {
    localKeys: false,
    async increment(key): Promise<ClientRateLimitInfo> {
      const { total, resetsAtMs } = await counters.add(keyOf(key), 1, windowMs);
      // express-rate-limit compares it with the clock of this host.
      return { totalHits: total, resetTime: new Date(Date.now() + resetsAtMs - now()) };
    },
    decrement: async (key) => {
      await counters.add(keyOf(key), -1, windowMs);
    },
    resetKey: (key) => counters.reset([keyOf(key)], windowMs),
  };
}
