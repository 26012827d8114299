import { type Route, route } from '../../../platform/http/endpoint';
import { principalOf } from '../principal';
import { entryViewOf, MAX_LIMIT, revocationsEndpoint } from './contract';
import type { Revocations } from './revocations';

export function createRevocationRoutes({
  revocations,
  retainMs,
  now,
}: {
  readonly revocations: Pick<Revocations, 'lookUp' | 'leaseMs'>;
  readonly retainMs: number;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}): Route[] {
  return [
    route(revocationsEndpoint, async ({ query }, req) => {
      const { after, wait: waitMs = 0, limit = MAX_LIMIT } = query;
      // Of the account: nobody acknowledges for the verifier of another one.
      const verifier =
        query.verifier === undefined ? undefined : `${principalOf(req).userId}:${query.verifier}`;
      const time = new Date(now()).toISOString();
      const found = await revocations.lookUp({ after, verifier, waitMs, limit });
      return {
        status: 200,
        headers: { 'Cache-Control': 'no-store' },
        body: {
          data: found.entries.map(entryViewOf),
          next_after: found.nextAfter,
          has_more: found.hasMore,
          lease_ms: revocations.leaseMs,
          retain_seconds: Math.ceil(retainMs / 1000),
          time,
        },
      };
    }),
  ];
}
