import { problems } from '../../../kernel/errors';
import { assertMayActOn } from '../../../kernel/permission-refusals';
import type { Policy } from '../../../kernel/permissions';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { userOf } from '../authenticate';
import { factorAdministrationEndpoints as endpoints } from '../factors/contract';
import type { OwnFactors } from '../factors/own-factors';
import { principalOf } from '../principal';
import { noSuchUser } from '../problems';
import { currentSession } from '../sessions/routes';
import type { UsersPort } from '../users-port';

/** One at a time, with a factor, and never the last way to sign in or one that the policy needs. */
const ownFactors = () =>
  problems.conflict('own_account', 'Remove your own factors by DELETE /api/auth/factors/:id.');

/**
 * Removes the factors of users who have lost them. It needs `factors:reset`, and the same recent
 * login as a change of one's own factors.
 */
export function createFactorAdministrationRoutes(deps: {
  readonly users: Pick<UsersPort, 'stored'>;
  readonly factors: Pick<OwnFactors, 'reset' | 'assertMayChange'>;
  readonly policy: Policy;
}): Route[] {
  const { users, factors, policy } = deps;
  return [
    route(endpoints.reset, async ({ params: { id } }, req) => {
      const principal = principalOf(req);
      await factors.assertMayChange(currentSession(req), userOf(req).role);
      const found = await users.stored(id);
      if (found === null) throw noSuchUser();
      if (principal.userId === id) throw ownFactors();
      assertMayActOn(policy, principal, id, found.role);
      await factors.reset(id, { actor: principal.userId, client: clientOf(req) });
      return { status: 204 };
    }),
  ];
}
