import type { QueryShape } from '../../platform/mongo/explain';
import { pendingQuery } from '../../platform/outbox/outbox-source';
import { endingBans } from './administration/ban-expiry';
import type { UserModel } from './model';
import { hasPendingEnds } from './pending-ends-index';
import { usableAdmins } from './repository';
import { listShapes } from './search/query-shapes';
import { unknownRolesQuery } from './unknown-roles';

const SOME_ID = '652f1c3e9b1d4a0012ab34cd';

/**
 * Every shape of query that users are read by, as the code itself makes them; for `npm run explain`
 * and its test.
 */
export function userQueryShapes(users: UserModel, options: { timeoutMs: number }): QueryShape[] {
  const bounded = { maxTimeMS: options.timeoutMs };
  const find = (name: string, filter: Record<string, unknown>): QueryShape => ({
    name,
    explain: () => users.collection.find(filter, bounded).explain('queryPlanner'),
  });
  return [
    {
      name: 'user by id',
      explain: () =>
        users.collection
          .find({ _id: new users.base.Types.ObjectId(SOME_ID) }, bounded)
          .explain('queryPlanner'),
    },
    find('credentials by e-mail', { emailKey: 'ada@example.org' }),
    {
      name: 'another administrator',
      explain: () =>
        users.collection.find(usableAdmins('!'), { ...bounded, limit: 1 }).explain('queryPlanner'),
    },
    {
      name: 'pending ends of tokens',
      explain: () =>
        users.collection.find(hasPendingEnds, { ...bounded, limit: 500 }).explain('queryPlanner'),
    },
    {
      name: 'bans that end',
      explain: () =>
        users.collection
          .find(endingBans(new Date(0)), { ...bounded, sort: { bannedUntil: 1 }, limit: 100 })
          .explain('queryPlanner'),
    },
    {
      name: 'users with pending events',
      explain: () =>
        users.collection.find(...pendingQuery(500, options.timeoutMs)).explain('queryPlanner'),
    },
    {
      name: 'accounts with unknown roles',
      explain: () => {
        const { filter, options } = unknownRolesQuery(['admin', 'user']);
        return users.collection.find(filter, { ...bounded, ...options }).explain('queryPlanner');
      },
    },
    ...listShapes(users, options),
  ];
}
