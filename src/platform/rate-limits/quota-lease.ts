import type { Counters } from '../counters/counters';
import { forRequest, type Requested, timed } from '../telemetry/request-work';

export interface Decision {
  readonly allowed: boolean;
  /** Requests left in this window, as far as this worker knows. */
  readonly remaining: number;
  readonly resetsAtMs: number;
}

export interface QuotaLeaseOptions {
  /** Goes before every key in the shared counters. */
  readonly name: string;
  readonly limit: number;
  readonly windowMs: number;
  readonly counters: Counters;
  /** Ready workers of this host: together they leave at most 2 % of a limit unused. */
  readonly workers: () => number;
  /** The clock of the counters' windows, in ms since the epoch. */
  readonly now: () => number;
}

/** Tokens of one key: reserved in the shared counter and not used yet. */
interface Bucket {
  tokens: number;
  /** The total that all workers had reserved when this one last asked. */
  reserved: number;
  /** How many to reserve next time: doubles while a client keeps reserving. */
  block: number;
  isSpent: boolean;
  reserving: Promise<void> | undefined;
  waiting: number;
}

/**
 * A worker reserves requests ahead, in blocks, in the counter that all workers share, and grants
 * them from memory: a request needs no round trip, and all workers together never grant more than
 * the limit. Reserved requests that a worker does not use are lost to the others until the window
 * ends: at most 2 % of the limit over all workers of a host. A limit too small for blocks is
 * reserved one by one, and is exact.
 *
 * Windows are those of `Counters`: fixed, and the same on every host. Memory holds one window, and
 * is bounded.
 */
export interface QuotaLease {
  /**
   * Decides without a promise while reserved requests are left. Resolves as allowed when the
   * counters cannot be reached. `request`: to which a wait is counted.
   */
  take(key: string, request?: Requested): Decision | Promise<Decision>;
}

/** Reserved and used up to one and a half blocks ahead (see `take`): 1.5 × 0.013 < 2 %. */
const SHARE_AHEAD = 0.013;
const KEYS_MAX = 100_000;

export function createQuotaLease({
  name,
  limit,
  windowMs,
  counters,
  workers,
  now,
}: QuotaLeaseOptions): QuotaLease {
  let buckets = new Map<string, Bucket>();
  let windowEndMs = 0;

  function bucketOf(key: string): Bucket {
    const at = now();
    // Earlier: the clock was set back.
    const isOutside = at >= windowEndMs || at < windowEndMs - windowMs;
    if (isOutside || buckets.size >= KEYS_MAX) {
      buckets = new Map();
      windowEndMs = (Math.floor(at / windowMs) + 1) * windowMs;
    }
    let bucket = buckets.get(key);
    if (bucket === undefined) {
      bucket = {
        tokens: 0,
        reserved: 0,
        block: 1,
        isSpent: false,
        reserving: undefined,
        waiting: 0,
      };
      buckets.set(key, bucket);
    }
    return bucket;
  }

  const blockMax = () => Math.floor((limit * SHARE_AHEAD) / Math.max(1, workers()));

  function reserve(key: string, bucket: Bucket, count: number): Promise<void> {
    const { reserving } = bucket;
    if (reserving !== undefined) return timed('shared', () => reserving);
    const endMs = windowEndMs;
    bucket.reserving = counters
      .add(`limit:${name}:${key}`, count, windowMs)
      .then(({ total, resetsAtMs }) => {
        // The window ended meanwhile: the reservation belongs to another one, and stays unused.
        if (resetsAtMs !== endMs) return;
        bucket.reserved = total;
        bucket.isSpent = total >= limit;
        bucket.tokens += Math.max(0, count - Math.max(0, total - limit));
      })
      .finally(() => {
        bucket.reserving = undefined;
      });
    return bucket.reserving;
  }

  const decide = (bucket: Bucket, allowed: boolean): Decision => ({
    allowed,
    remaining: Math.max(0, limit - Math.max(bucket.reserved, 0) + bucket.tokens),
    resetsAtMs: windowEndMs,
  });

  function use(key: string, bucket: Bucket): Decision {
    bucket.tokens -= 1;
    if (bucket.tokens * 2 < bucket.block && !bucket.isSpent && bucket.reserving === undefined) {
      const most = blockMax();
      if (most > 0) {
        bucket.block = Math.min(bucket.block * 2, most);
        // No request waits for this one: a failure shows when the tokens are gone.
        reserve(key, bucket, bucket.block).catch(() => undefined);
      }
    }
    return decide(bucket, true);
  }

  async function wait(key: string): Promise<Decision> {
    for (;;) {
      const bucket = bucketOf(key);
      if (bucket.tokens > 0) return use(key, bucket);
      if (bucket.isSpent) return decide(bucket, false);
      bucket.waiting += 1;
      try {
        await reserve(key, bucket, bucket.waiting);
      } catch {
        return decide(bucket, true);
      } finally {
        bucket.waiting -= 1;
      }
    }
  }

  return {
    take(key, request) {
      const bucket = bucketOf(key);
      if (bucket.tokens > 0) return use(key, bucket);
      if (bucket.isSpent) return decide(bucket, false);
      return request === undefined ? wait(key) : forRequest(request, () => wait(key));
    },
  };
}
