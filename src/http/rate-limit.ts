import type { Request, RequestHandler } from 'express';
import { type ClientRateLimitInfo, ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import type { Counters } from '../data/counters';
import { Problem } from '../errors';

export interface LimitOptions {
  /** Names the policy in the RateLimit headers and the counters' keys. */
  readonly name: string;
  readonly windowMs: number;
  readonly limit: number;
  readonly counters: Counters;
  readonly enabled: boolean;
}

/** IPv4 by address, IPv6 by /56: one household gets one bucket, and cannot walk through its own 2^72 addresses. */
export const clientKey = (req: Request): string => ipKeyGenerator(req.ip ?? 'unknown', 56);

/** A limit that counts over all workers and hosts. When the counters cannot be reached, requests pass: a limiter must not take the service down. */
export function limitRate({ name, windowMs, limit, counters, enabled }: LimitOptions): RequestHandler {
  return rateLimit({
    windowMs,
    limit,
    identifier: name,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    passOnStoreError: true,
    skip: () => !enabled,
    keyGenerator: clientKey,
    store: sharedStore(counters, name, windowMs),
    handler: (_req, res, next) => {
      const retryAfter = res.getHeader('Retry-After');
      next(
        new Problem(429, 'rate_limited', 'Too many requests', {
          detail: 'Too many requests from this address; wait before the next.',
          headers: retryAfter === undefined ? { 'Retry-After': String(Math.ceil(windowMs / 1000)) } : {},
        }),
      );
    },
  });
}

function sharedStore(counters: Counters, name: string, windowMs: number): Store {
  const keyOf = (key: string) => `limit:${name}:${key}`;
  return {
    localKeys: false,
    async increment(key): Promise<ClientRateLimitInfo> {
      const { total, resetsAtMs } = await counters.add(keyOf(key), 1, windowMs);
      return { totalHits: total, resetTime: new Date(resetsAtMs) };
    },
    decrement: async (key) => {
      await counters.add(keyOf(key), -1, windowMs);
    },
    resetKey: (key) => counters.reset(keyOf(key), windowMs),
  };
}
