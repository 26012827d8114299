import type { Request, RequestHandler } from 'express';
import type { Problem } from '../../kernel/errors';
import { networkOf } from '../http/client-networks';
import { type LimitOptions, tooManyRequests } from './limit';
import { createQuotaLease, type Decision } from './quota-lease';

/**
 * The general limit of every request. It uses the quota lease of this worker, without a round trip
 * (quota-lease.ts), and sends the same headers as `limitExactly` (exact-limit.ts). Compared on the
 * profile route: docs/performance.md.
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
    return decision.allowed ? undefined : tooManyRequests({ 'Retry-After': seconds });
  }

  return (req, _res, next) => {
    const keys = keysOf(networkOf(req));
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
