import type { Registry } from 'prom-client';
import type { Config } from '../config';
import type { Logger } from '../observability/logger';
import { createCounts } from './counts';
import { createLink, type Link } from './link';
import type { Cache } from './port';
import { createRegion } from './region';
import { createSharedCopies } from './shared';
import { createSingle } from './topology';
import { createWriter } from './writer';

export interface CacheDeps {
  readonly settings: Config['cache'];
  readonly log: Logger;
  readonly metrics?: Registry;
  /** Monotonic, in ms. */
  readonly now?: () => number;
}

/** How long a starting worker waits for Redis before it serves without. */
const FIRST_CONTACT_MS = 1500;

/** Builds the cache without I/O; with `link` it shares values through Redis, without it has near copies alone. */
export function createCache(deps: CacheDeps, link?: Link): Cache {
  const { settings, log, now = () => performance.now() } = deps;
  const regions: { readonly nearSize: number }[] = [];
  const counts = createCounts(deps.metrics, {
    nearCopies: () => regions.reduce((sum, region) => sum + region.nearSize, 0),
    outstanding: () => link?.status().outstanding ?? 0,
    breakerOpen: () => link?.status().breakerOpen ?? false,
  });
  const shared =
    link &&
    createSharedCopies(link, {
      prefix: settings.keyPrefix,
      leaseTtlMs: settings.leaseTtlMs,
      writerTtlMs: settings.writerTtlMs,
      valueTtlMs: settings.ttlSeconds * 1000,
    });
  const generation = (): string | undefined => link?.identity;
  /** 10 % of jitter, so that values filled together do not expire together. */
  const ttlMs = (negative: boolean): number =>
    Math.round((negative ? settings.negativeTtlSeconds : settings.ttlSeconds) * 1000 * (0.9 + Math.random() * 0.2));
  const common = { now, nearTtlMs: settings.nearTtlMs, counts, shared, generation };

  return {
    region(spec) {
      const region = createRegion(spec, { ...common, nearMaxEntries: settings.nearMaxEntries, ttlMs });
      regions.push(region);
      return region;
    },
    write: createWriter({
      ...common,
      writerTtlMs: settings.writerTtlMs,
      async fence(groups) {
        log.warn({ groups }, 'a write could not be told to Redis');
      },
    }),
    state: () =>
      link === undefined ? { kind: 'near', status: 'up' } : { kind: 'redis', status: link.identity === undefined ? 'degraded' : 'up' },
    async close() {
      await link?.close();
    },
  };
}

/** Connects to Redis when REDIS_URL is set. Resolves in any case: without Redis the service is degraded, and heals. */
export async function connectCache(deps: CacheDeps): Promise<Cache> {
  const { settings, log, now = () => performance.now() } = deps;
  const url = settings.redisUrl;
  if (url === undefined) return createCache(deps);
  const link = createLink(
    (events) => createSingle({ hosts: url.split(','), connectTimeoutMs: settings.redisCommandTimeoutMs * 10, silenceMs: 2000 }, events),
    { commandTimeoutMs: settings.redisCommandTimeoutMs, queueMax: settings.redisQueueMax, log, now },
  );
  link.start();
  await link.settled(FIRST_CONTACT_MS);
  return createCache(deps, link);
}
