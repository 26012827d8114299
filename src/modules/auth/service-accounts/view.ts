import type { Policy } from '../../../kernel/permissions';
import type { Account, UsersPort } from '../users-port';
import { type CREATOR_STATUSES, MANAGE_PERMISSION } from './contract';
import type { ServiceAccount } from './service-accounts';

/** A removed user has a pseudonym instead. */
const USER_ID = /^[0-9a-f]{24}$/;

/** Without its secret. */
export function createServiceAccountView(users: Pick<UsersPort, 'get'>, policy: Policy) {
  function creatorStatus(creator: Account | null): (typeof CREATOR_STATUSES)[number] {
    if (creator === null) return 'removed';
    if (creator.status !== 'active') return 'banned';
    const isPermitted = policy.permissionsOf(creator.role).has(MANAGE_PERMISSION);
    return isPermitted ? 'permitted' : 'not_permitted';
  }

  return async ({ id, name, scopes, secretPrefix, createdBy, createdAt }: ServiceAccount) => {
    const creator = USER_ID.test(createdBy) ? await users.get(createdBy) : null;
    return {
      ...{ id, name, scopes, secret_prefix: secretPrefix, created_by: createdBy },
      ...{ created_by_status: creatorStatus(creator), created_at: createdAt },
    };
  };
}
