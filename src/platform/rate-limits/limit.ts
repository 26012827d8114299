import type { ClientDigest } from '../../kernel/crypto/client-digest';
import { Problem } from '../../kernel/errors';
import type { Counters } from '../counters/counters';

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

export const tooManyRequests = (headers: Record<string, string>) =>
  new Problem(429, 'rate_limited', 'Too many requests', {
    detail: 'Too many requests from this address; wait before the next.',
    headers,
  });
