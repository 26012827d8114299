import {
  type Actor,
  isPermission,
  type Permission,
  type PermissionSet,
  type Policy,
} from '../../../kernel/permissions';
import type { UserRepository } from '../repository';
import type { ImportOrder } from './intake';

export interface PresentRequesterDependencies {
  readonly policy: Policy;
  readonly accounts: Pick<UserRepository, 'credentialsById'>;
  /** From the database, past every cache. null: there is no such service account. */
  readonly serviceScopes: (id: string) => Promise<readonly Permission[] | null>;
}

/** The present permissions of the requester of bulk work: at most those that it had then. */
export type PresentRequester = (asked: ImportOrder['actor']) => Promise<Actor>;

const NONE: readonly Permission[] = [];
/** A removed user has a pseudonym by now. */
const ID = /^[0-9a-f]{24}$/;

/**
 * Bulk work goes on for minutes after its request, also in another process. A requester
 * that is removed, banned or given a lesser role meanwhile must not go on by it.
 */
export function createPresentRequester(deps: PresentRequesterDependencies): PresentRequester {
  const { policy, accounts, serviceScopes } = deps;

  async function heldNow({ userId, isService }: ImportOrder['actor']): Promise<PermissionSet> {
    if (!ID.test(userId)) return new Set(NONE);
    if (isService) return new Set((await serviceScopes(userId)) ?? NONE);
    const user = await accounts.credentialsById(userId);
    return user?.status === 'active' ? policy.permissionsOf(user.role) : new Set(NONE);
  }

  return async (asked) => {
    const then = asked.permissions.filter(isPermission);
    // A command has no account: its operator can write the database anyway.
    if (asked.userId.startsWith('cli:')) return { ...asked, permissions: new Set(then) };
    const now = await heldNow(asked);
    return { ...asked, permissions: new Set(then.filter((one) => now.has(one))) };
  };
}
