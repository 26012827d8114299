import type { Counters } from '../data/counters';

export interface Decision {
  readonly allowed: boolean;
  /** Requests left in this window, as far as this worker knows. */
  readonly remaining: number;
  readonly resetsAtMs: number;
}

export interface AllowanceOptions {
  /** Goes before every key in the shared counters. */
  readonly name: string;
  readonly limit: number;
  readonly windowMs: number;
  readonly counters: Counters;
  /** Ready workers of this host: together they hold back at most 2 % of a limit. */
  readonly workers: () => number;
  readonly now?: () => number;
}

/** Tokens of one key: reserved in the shared counter, and not used yet. */
interface Bucket {
  tokens: number;
  /** What all workers together have reserved, when this one last asked. */
  reserved: number;
  /** How many to reserve next time: doubles while a client keeps asking. */
  block: number;
  isSpent: boolean;
  asking: Promise<void> | undefined;
  waiting: number;
}

/**
 * A worker reserves requests ahead, in blocks, in the counter that all workers share, and hands them out from memory: no
 * round trip on the way of a request, yet never more than the limit in all. What a worker has reserved and does not use is
 * lost to the others until the window ends: 2 % of the limit at most, over all workers of a host. A limit too small for
 * that is asked for one by one, and is exact.
 *
 * Windows are those of `Counters`: fixed, and the same on every host. Memory is that of one window, and bounded.
 */
export interface Allowance {
  /** Answers at once while reserved requests are left. Resolves as allowed when the counters cannot be reached. */
  take(key: string): Decision | Promise<Decision>;
}

/** Reserved and used up to one and a half blocks ahead (see `take`): 1.5 × 0.013 < 2 %. */
const SHARE_AHEAD = 0.013;
const KEYS_MAX = 100_000;

export function createAllowance({ name, limit, windowMs, counters, workers, now = Date.now }: AllowanceOptions): Allowance {
  let buckets = new Map<string, Bucket>();
  let windowEndMs = 0;

  function bucketOf(key: string): Bucket {
    const at = now();
    if (at >= windowEndMs || buckets.size >= KEYS_MAX) {
      buckets = new Map();
      windowEndMs = (Math.floor(at / windowMs) + 1) * windowMs;
    }
    let bucket = buckets.get(key);
    if (bucket === undefined) {
      bucket = { tokens: 0, reserved: 0, block: 1, isSpent: false, asking: undefined, waiting: 0 };
      buckets.set(key, bucket);
    }
    return bucket;
  }

  const blockMax = () => Math.floor((limit * SHARE_AHEAD) / Math.max(1, workers()));

  function ask(key: string, bucket: Bucket, count: number): Promise<void> {
    const endMs = windowEndMs;
    bucket.asking ??= counters
      .add(`limit:${name}:${key}`, count, windowMs)
      .then(({ total, resetsAtMs }) => {
        // The window has ended on the way: what was reserved belongs to the next one, and stays unused.
        if (resetsAtMs !== endMs) return;
        bucket.reserved = total;
        bucket.isSpent = total >= limit;
        bucket.tokens += Math.max(0, count - Math.max(0, total - limit));
      })
      .finally(() => {
        bucket.asking = undefined;
      });
    return bucket.asking;
  }

  const decide = (bucket: Bucket, allowed: boolean): Decision => ({
    allowed,
    remaining: Math.max(0, limit - Math.max(bucket.reserved, 0) + bucket.tokens),
    resetsAtMs: windowEndMs,
  });

  function use(key: string, bucket: Bucket): Decision {
    bucket.tokens -= 1;
    if (bucket.tokens * 2 < bucket.block && !bucket.isSpent && bucket.asking === undefined) {
      const most = blockMax();
      if (most > 0) {
        bucket.block = Math.min(bucket.block * 2, most);
        // Nobody waits for it: a failure shows when the tokens are gone.
        ask(key, bucket, bucket.block).catch(() => undefined);
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
        await ask(key, bucket, bucket.waiting);
      } catch {
        return decide(bucket, true);
      } finally {
        bucket.waiting -= 1;
      }
    }
  }

  return {
    take(key) {
      const bucket = bucketOf(key);
      if (bucket.tokens > 0) return use(key, bucket);
      return bucket.isSpent ? decide(bucket, false) : wait(key);
    },
  };
}
