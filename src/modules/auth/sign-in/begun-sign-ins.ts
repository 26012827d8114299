import type { ClientDigest } from '../../../kernel/crypto/client-digest';
import { Problem, problems } from '../../../kernel/errors';
import type { Counters } from '../../../platform/counters/counters';
import type { ClientInfo } from '../../../platform/http/client-info';
import { networksAround } from '../../../platform/http/client-networks';

interface BegunSignInsOptions {
  readonly counters: Counters;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly clientDigest: ClientDigest;
  readonly key: string;
  /** Within `windowMs`, the lifetime of a stored sign-in. */
  readonly max: number;
  readonly windowMs: number;
  /** Of the refusal. */
  readonly detail: string;
}

/** Counts one; throws 429 `rate_limited` and 503 `overloaded`. */
export type CountBegunSignIn = (client: ClientInfo) => Promise<void>;

/** The shares of one site and of one network provider. */
const SITE_PART = 1 / 32;
const PROVIDER_PART = 1 / 8;

const shareRefusal = (detail: string, retryAfterSeconds: number) =>
  new Problem(429, 'rate_limited', 'Too many requests', {
    detail: `${detail} This network has used up its share.`,
    headers: { 'Retry-After': String(retryAfterSeconds) },
  });

/**
 * Anyone can begin a sign-in: without a bound, strangers could fill the database. The bound is one
 * for all hosts, and each network has a share of it: a stranger with many addresses must not use it
 * up for everybody (docs/adr/0032-sign-in-with-others.md).
 */
export function createBegunSignIns(options: BegunSignInsOptions): CountBegunSignIn {
  const { counters, now, clientDigest, key, max, windowMs, detail } = options;
  const keyOf = (network: string) => `${key}:${clientDigest(network)}`;

  return async ({ network }) => {
    const { site, provider } = networksAround(network);
    const bounds: readonly [string, number][] = [
      [keyOf(site), Math.ceil(max * SITE_PART)],
      [keyOf(provider), Math.ceil(max * PROVIDER_PART)],
      [key, max],
    ];
    // One by one: an attempt that a narrow bound refuses does not count in a wider one.
    for (const [name, limit] of bounds) {
      const { total, resetsAtMs } = await counters.add(name, 1, windowMs);
      if (total <= limit) continue;
      const seconds = Math.max(1, Math.ceil((resetsAtMs - now()) / 1000));
      if (name === key) throw problems.unavailable('overloaded', detail, seconds);
      throw shareRefusal(detail, seconds);
    }
  };
}
