import { createHash } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import { type ClientRateLimitInfo, ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';
import type { Counters } from '../data/counters';
import { Problem } from '../errors';
import { createAllowance, type Decision } from './allowance';
import { addPending, headerLine } from './header-block';

export interface LimitOptions {
  /** Names the policy in the RateLimit headers and the counters' keys. */
  readonly name: string;
  readonly windowMs: number;
  readonly limit: number;
  readonly counters: Counters;
  readonly enabled: boolean;
}

/** IPv4 by address, IPv6 by /56: one household gets one bucket, and cannot walk through its own 2^72 addresses. */
export function clientKey({ clientAddress }: Request): string {
  return clientAddress.includes(':') ? ipKeyGenerator(clientAddress, 56) : clientAddress;
}

const tooMany = (headers: Record<string, string>) =>
  new Problem(429, 'rate_limited', 'Too many requests', {
    detail: 'Too many requests from this address; wait before the next.',
    headers,
  });

/**
 * The general limit, on the way of every request: from this worker's share of it, without a round trip (allowance.ts).
 * Says what `limitRate` says, in the same headers. Measured against it on the profile route: docs/performance.md.
 */
export function limitClients({
  name,
  windowMs,
  limit,
  counters,
  enabled,
  workers,
}: LimitOptions & { workers: () => number }): RequestHandler {
  if (!enabled) return (_req, _res, next) => next();
  const allowance = createAllowance({ name, limit, windowMs, counters, workers });
  const policyOf = createPolicies(name, limit, windowMs);

  function apply(res: Response, key: string, decision: Decision): Problem | undefined {
    const seconds = String(Math.max(0, Math.ceil((decision.resetsAtMs - Date.now()) / 1000)));
    addPending(res, `RateLimit: "${name}"; r=${decision.remaining}; t=${seconds}\r\n${policyOf(key)}`);
    return decision.allowed ? undefined : tooMany({ 'Retry-After': seconds });
  }

  return (req, res, next) => {
    const key = clientKey(req);
    const taken = allowance.take(key);
    if (taken instanceof Promise) taken.then((decision) => next(apply(res, key, decision)), next);
    else next(apply(res, key, taken));
  };
}

const POLICIES_MAX = 10_000;

/** The line of draft-8's policy with its partition key: a hash, so that the header does not tell the address to whoever reads it. */
function createPolicies(name: string, limit: number, windowMs: number): (key: string) => string {
  const known = new Map<string, string>();
  return (key) => {
    let policy = known.get(key);
    if (policy === undefined) {
      const partition = Buffer.from(createHash('sha256').update(key).digest('hex').slice(0, 12)).toString('base64');
      policy = headerLine('RateLimit-Policy', `"${name}"; q=${limit}; w=${Math.ceil(windowMs / 1000)}; pk=:${partition}:`);
      if (known.size >= POLICIES_MAX) known.clear();
      known.set(key, policy);
    }
    return policy;
  };
}

/** A limit that counts each request over all workers and hosts at once, for routes where every one matters. When the counters cannot be reached, requests pass: a limiter must not take the service down. */
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
      next(tooMany(retryAfter === undefined ? { 'Retry-After': String(Math.ceil(windowMs / 1000)) } : {}));
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
