import type { Request, RequestHandler } from 'express';
import {
  type ClientRateLimitInfo,
  ipKeyGenerator,
  rateLimit,
  type Store,
} from 'express-rate-limit';
import type { ClientDigest } from '../../kernel/crypto/client-digest';
import { Problem } from '../../kernel/errors';
import type { Counters } from '../counters/counters';
import { createQuotaLease, type Decision } from '../counters/quota-lease';
import { forRequest } from '../telemetry/request-work';

export interface LimitOptions {
  /** Names the policy in the RateLimit headers and the counters' keys. */
  readonly name: string;
  readonly windowMs: number;
  readonly limit: number;
  readonly counters: Counters;
  readonly enabled: boolean;
  /** Time of the database, ms since the epoch: the windows of the counters use it. */
  readonly now: () => number;
  /** Pseudonym of a client in headers and counter keys. */
  readonly digest: ClientDigest;
}

/**
 * IPv4 by address, IPv6 by /56: a household gets one bucket, and cannot get more by its 2^72
 * addresses.
 */
export function clientKey({ context: { clientAddress } }: Request): string {
  return clientAddress.includes(':') ? ipKeyGenerator(clientAddress, 56) : clientAddress;
}

const tooMany = (headers: Record<string, string>) =>
  new Problem(429, 'rate_limited', 'Too many requests', {
    detail: 'Too many requests from this address; wait before the next.',
    headers,
  });

/**
 * The general limit of every request. It uses the quota lease of this worker, without a round trip
 * (quota-lease.ts), and sends the same headers as `limitRate`. Compared on the profile route:
 * docs/performance.md.
 */
export function limitClients({
  name,
  windowMs,
  limit,
  counters,
  enabled,
  now,
  digest,
  workers,
}: LimitOptions & { workers: () => number }): RequestHandler {
  if (!enabled) return (_req, _res, next) => next();
  const quotaLease = createQuotaLease({ name, limit, windowMs, counters, workers, now });
  const keysOf = createClientKeys({ name, limit, windowMs, digest });

  function apply(req: Request, { policy }: ClientKeys, decision: Decision): Problem | undefined {
    const seconds = String(Math.max(0, Math.ceil((decision.resetsAtMs - now()) / 1000)));
    const rateLimit = `"${name}"; r=${decision.remaining}; t=${seconds}`;
    req.context.pendingHeaders.push('RateLimit', rateLimit, 'RateLimit-Policy', policy);
    return decision.allowed ? undefined : tooMany({ 'Retry-After': seconds });
  }

  return (req, _res, next) => {
    const keys = keysOf(clientKey(req));
    const taken = quotaLease.take(keys.key, req.context);
    if (taken instanceof Promise) taken.then((decision) => next(apply(req, keys, decision)), next);
    else next(apply(req, keys, taken));
  };
}

const CACHE_MAX = 10_000;

interface ClientKeys {
  readonly key: string;
  /** RateLimit-Policy of draft-8, with the partition key. */
  readonly policy: string;
}

/** Caches the key and the policy header of each client. */
function createClientKeys({
  name,
  limit,
  windowMs,
  digest,
}: Pick<LimitOptions, 'name' | 'limit' | 'windowMs' | 'digest'>) {
  const known = new Map<string, ClientKeys>();
  return (client: string): ClientKeys => {
    let keys = known.get(client);
    if (keys === undefined) {
      const key = digest(client);
      const partition = Buffer.from(key).toString('base64');
      const policy = `"${name}"; q=${limit}; w=${Math.ceil(windowMs / 1000)}; pk=:${partition}:`;
      keys = { key, policy };
      if (known.size >= CACHE_MAX) known.clear();
      known.set(client, keys);
    }
    return keys;
  };
}

/**
 * A limit that counts each request over all workers and hosts, for routes where an exact count
 * matters. When the counters are unavailable, requests pass: a limiter must not stop the service.
 */
export function limitRate({
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
    keyGenerator: (req) => digest(clientKey(req)),
    store: sharedStore({ counters, name, windowMs, now }),
    handler: (_req, res, next) => {
      const retryAfter = res.getHeader('Retry-After');
      next(
        tooMany(
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
