import type { Deadline } from '../../../kernel/deadline';
import { problems } from '../../../kernel/errors';
import { assertMayActOn } from '../../../kernel/permission-refusals';
import type { Policy } from '../../../kernel/permissions';
import type { Precondition } from '../../../platform/http/conditional';
import type { EmitEvent } from '../../domain-events';
import { type Actor, causeOf } from '../actor';
import { isBanOver, NO_BAN } from '../bans';
import type { CachedUser } from '../cached';
import type { Changes } from '../changes';
import { changesNothing, ownAccount } from '../rules';
import type { Snapshot } from '../snapshot';
import type { UserWrites } from '../writes';

export interface Ban {
  /** When it ends by itself. */
  readonly until?: Date | undefined;
  readonly reason?: string | undefined;
}

interface AdministrationOptions {
  readonly check?: Precondition | undefined;
  /** Of the request. */
  readonly within?: Deadline | undefined;
}

/**
 * Operations of privileged users on the accounts of others. Throws 404, 403 where the account has
 * permissions that the actor lacks, and 409 for the own account and the last administrator.
 */
export interface AccountAdministration {
  /**
   * Ends every session and refuses every login until the ban ends or is lifted. Of a banned user:
   * another end and another reason.
   */
  ban(actor: Actor, id: string, ban: Ban, options?: AdministrationOptions): Promise<CachedUser>;
  /** Sessions that the ban has ended stay ended. */
  unban(actor: Actor, id: string, options?: AdministrationOptions): Promise<CachedUser>;
  /** The next login asks for a new password. */
  requirePasswordChange(
    actor: Actor,
    id: string,
    options: AdministrationOptions & { readonly endSessions: boolean },
  ): Promise<CachedUser>;
  /** Lifts a ban that is over by the database's time; else the user as it is. Throws 404. */
  liftOverBan(id: string): Promise<CachedUser>;
}

export interface AccountAdministrationDependencies {
  readonly writes: UserWrites;
  readonly policy: Policy;
  readonly emit: EmitEvent;
}

interface Done {
  readonly user: CachedUser;
  readonly isNew: boolean;
}

const notInFuture = () =>
  problems.invalid([
    { pointer: '/until', code: 'not_in_future', message: 'must be in the future' },
  ]);

export function createAccountAdministration(
  deps: AccountAdministrationDependencies,
): AccountAdministration {
  const { writes, policy, emit } = deps;
  const { decided, update, unchanged } = writes;

  function change(
    actor: Actor,
    id: string,
    { check, within }: AdministrationOptions,
    decide: (seen: Snapshot) => { readonly changes: Changes; readonly endSessions: boolean },
  ): Promise<Done> {
    return decided.write<Done>(id, within, (seen) => {
      assertMayActOn(policy, actor, id, seen.role);
      check?.(seen.rev);
      const { changes, endSessions } = decide(seen);
      const isNew = !changesNothing(seen, changes);
      const commit =
        isNew || endSessions
          ? update(seen, changes, endSessions ? { endSessions: {} } : {})
          : async () => unchanged(seen);
      return async (attempt, rest) => {
        const user = await commit(attempt, rest);
        return user && { user, isNew };
      };
    });
  }

  return {
    async ban(actor, id, { until, reason }, options = {}) {
      if (actor.userId === id) throw ownAccount();
      const { user, isNew } = await change(actor, id, options, (seen) => {
        if (until !== undefined && until <= seen.readAt) throw notInFuture();
        const changes: Changes = {
          status: 'banned',
          bannedUntil: until ?? null,
          banReason: reason ?? null,
        };
        // Also of a banned user: a login may be under way that has seen an earlier ban over.
        return { changes, endSessions: !changesNothing(seen, changes) };
      });
      const event = { userId: id, status: 'banned', until, reason, ...causeOf(actor) } as const;
      if (isNew) emit('StatusChanged', event);
      return user;
    },

    async unban(actor, id, options = {}) {
      const { user, isNew } = await change(actor, id, options, () => ({
        changes: NO_BAN,
        endSessions: false,
      }));
      if (isNew) emit('StatusChanged', { userId: id, status: 'active', ...causeOf(actor) });
      return user;
    },

    async requirePasswordChange(actor, id, { endSessions, ...options }) {
      const { user, isNew } = await change(actor, id, options, () => ({
        changes: { mustChangePassword: true },
        endSessions,
      }));
      const event = { userId: id, endsSessions: endSessions, ...causeOf(actor) };
      if (isNew || endSessions) emit('PasswordChangeRequired', event);
      return user;
    },

    liftOverBan: (id) =>
      decided.write(id, undefined, (seen) =>
        isBanOver(seen, seen.readAt) ? update(seen, {}) : async () => unchanged(seen),
      ),
  };
}
