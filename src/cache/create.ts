import { setTimeout as pause } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import type { Config } from '../config';
import type { Logger } from '../observability/logger';
import { createCounts } from './counts';
import type { Ledger } from './ledger';
import type { Link } from './link';
import { openLink } from './open-link';
import { createPermit, type Permit } from './permit';
import type { Cache } from './port';
import { createRegion } from './region';
import { createSharedCopies } from './shared';
import { createStamps } from './stamps';
import { createWriter } from './writer';

export interface CacheDeps {
  readonly settings: Config['cache'];
  readonly log: Logger;
  readonly metrics?: Registry;
  /** Monotonic, in ms. */
  readonly now?: () => number;
  readonly seams?: CacheSeams;
}

/** Where tests take a safeguard away, to show that its absence is noticed. Never a setting. */
export interface CacheSeams {
  readonly pause?: (ms: number) => Promise<unknown>;
  /** Age up to which a read under way is joined; normally τ. */
  readonly joinMs?: number;
  readonly withoutBreaker?: boolean;
  readonly link?: (link: Link) => Link;
  readonly permit?: (permit: Permit) => Permit;
}

/** What makes the shared copies: neither is there when no Redis is configured. */
export interface Sharing {
  readonly link: Link;
  readonly permit: Permit;
}

/** How long a starting worker waits for Redis before it serves without. */
const FIRST_CONTACT_MS = 1500;

/** Builds the cache without I/O; without `sharing` it has near copies alone. */
export function createCache(deps: CacheDeps, sharing?: Sharing): Cache {
  const { settings, now = () => performance.now() } = deps;
  const { link, permit } = sharing ?? {};
  const regions: { readonly nearSize: number }[] = [];
  const counts = createCounts(deps.metrics, {
    nearCopies: () => regions.reduce((sum, region) => sum + region.nearSize, 0),
    outstanding: () => link?.status().outstanding ?? 0,
    breakerOpen: () => link?.status().breakerOpen ?? false,
    sharedInUse: () => permit?.generation() !== undefined,
  });
  const shared =
    link &&
    createSharedCopies(link, {
      prefix: settings.keyPrefix,
      leaseTtlMs: settings.leaseTtlMs,
      writerTtlMs: settings.writerTtlMs,
    });
  const stamps =
    link && settings.nearTtlMs > 0
      ? createStamps({ link, prefix: settings.keyPrefix, nearTtlMs: settings.nearTtlMs, counts, generation: () => permit?.generation() })
      : undefined;
  /** 10 % of jitter, so that values filled together do not expire together. */
  const ttlMs = (negative: boolean): number =>
    Math.round((negative ? settings.negativeTtlSeconds : settings.ttlSeconds) * 1000 * (0.9 + Math.random() * 0.2));
  const common = { now, nearTtlMs: settings.nearTtlMs, counts, shared, stamps };

  return {
    region(spec) {
      const region = createRegion(spec, {
        ...common,
        joinMs: deps.seams?.joinMs ?? settings.nearTtlMs,
        nearMaxEntries: settings.nearMaxEntries,
        generation: () => permit?.generation(),
        ttlMs,
      });
      regions.push(region);
      return region;
    },
    write: createWriter({
      nearTtlMs: settings.nearTtlMs,
      counts,
      shared,
      stamps,
      generation: () => permit?.confirmedGeneration(),
      prepare: async () => permit?.prepare(),
      fence: async (tell) => permit?.fence(tell),
      pause: deps.seams?.pause ?? pause,
    }),
    state: () =>
      permit === undefined
        ? { kind: 'near', status: 'up' }
        : { kind: 'redis', status: permit.generation() === undefined ? 'degraded' : 'up' },
    async close() {
      await permit?.close();
      await link?.close();
    },
  };
}

/**
 * Connects to Redis when REDIS_URL is set; `ledger` is then required. Resolves in any case: without Redis the service
 * is degraded, and heals.
 */
export async function connectCache(deps: CacheDeps & { readonly ledger?: Ledger }): Promise<Cache> {
  const { settings, log, ledger, seams, now = () => performance.now() } = deps;
  const url = settings.redisUrl;
  if (url === undefined) return createCache(deps);
  if (ledger === undefined) throw new Error('a cache with Redis needs a ledger');
  const plain = openLink(settings, { url, log, now, withoutBreaker: seams?.withoutBreaker ?? false });
  const link = seams?.link?.(plain) ?? plain;
  const permit = createPermit({ ledger, identity: () => link.identity, linked: link.settled, log, now });
  link.start();
  permit.start();
  const deadline = now() + FIRST_CONTACT_MS;
  await link.settled(FIRST_CONTACT_MS);
  if (link.identity !== undefined) await permit.settled(deadline - now());
  return createCache(deps, { link, permit: seams?.permit?.(permit) ?? permit });
}
