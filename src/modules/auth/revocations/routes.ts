import type { Request } from 'express';
import { type MayStill, type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { principalOf } from '../principal';
import { invalidToken } from '../problems';
import { entryViewOf, MAX_LIMIT, revocationsEndpoint } from './contract';
import type { Revocations } from './revocations';

/** After a wait: throws 401 where the token, or its permission, has ended meanwhile. */
export async function assertStill(mayStill: MayStill, req: Request): Promise<void> {
  if (!(await mayStill(req, 'revocations:read'))) throw invalidToken();
}

export function createRevocationRoutes({
  revocations,
  retainMs,
  now,
  mayStill,
}: {
  readonly revocations: Pick<Revocations, 'lookUp' | 'leaseMs'>;
  readonly retainMs: number;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly mayStill: MayStill;
}): Route[] {
  return [
    route(revocationsEndpoint, async ({ query }, req) => {
      const { after, wait: waitMs = 0, limit = MAX_LIMIT } = query;
      // Of the account: nobody acknowledges for the verifier of another one.
      const verifier =
        query.verifier === undefined ? undefined : `${principalOf(req).userId}:${query.verifier}`;
      const time = new Date(now()).toISOString();
      const found = await revocations.lookUp({ after, verifier, waitMs, limit });
      if (waitMs > 0) await assertStill(mayStill, req);
      return {
        status: 200,
        headers: NO_STORE,
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
