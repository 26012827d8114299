import { ADMIN } from '../../kernel/permissions';
import { NO_CLIENT } from '../../platform/http/client-info';
import type { Locks } from '../../platform/mongo/locks';
import type { EmitEvent } from '../domain-events';
import { isBanOver, NO_BAN } from './bans';
import { type CachedUser, toCached } from './cached';
import type { Changes, UpdateOptions } from './changes';
import { type Commit, createDecider, type Decider, type DeciderDependencies } from './decide';
import { lastAdmin, leavesTheAdmins } from './rules';
import type { Attempt, Snapshot } from './snapshot';

export interface UserWritesDependencies extends Omit<DeciderDependencies, 'onUnconfirmed'> {
  readonly locks: Locks;
  readonly now: () => Date;
  readonly emit: EmitEvent;
  /** The hash of an account without a password. */
  readonly noPassword: string;
}

/** The writes to one user, under the rules that hold for each of them. */
export interface UserWrites {
  readonly decided: Decider;
  /**
   * An administrator remains. With a new password none has to be set any more. A ban that is over
   * is lifted by the same write.
   */
  update(
    seen: Snapshot,
    changes: Changes,
    options?: Omit<UpdateOptions, 'now'>,
  ): Commit<CachedUser>;
  /** As `update`, for callers that need to know only whether it was done. */
  updated(seen: Snapshot, changes: Changes, options?: Omit<UpdateOptions, 'now'>): Commit<boolean>;
  remove(seen: Snapshot): Commit<true>;
  /** The user is in the wanted state already: neither a revision nor a time moves. */
  unchanged(seen: Snapshot): Promise<CachedUser | null>;
}

export function createUserWrites(deps: UserWritesDependencies): UserWrites {
  const { repository, locks, now, emit, noPassword } = deps;

  /**
   * A commit after which an administrator who can sign in remains, also beside concurrent commits:
   * both the question and the write fall within the lock, the write by its filter even if this
   * process was frozen in between.
   */
  const keepingAnAdmin =
    <R>(id: string, commit: Commit<R>): Commit<R> =>
    (attempt, within) =>
      locks.withLock(
        'admin-removal',
        async (until) => {
          if (!(await repository.otherAdminExists(id, noPassword))) throw lastAdmin();
          return commit(() => earlier(attempt(), until), within);
        },
        within.leftMs(),
      );

  function update(
    seen: Snapshot,
    wanted: Changes,
    options: Omit<UpdateOptions, 'now'> = {},
  ): Commit<CachedUser> {
    const isOver = isBanOver(seen, seen.readAt) && wanted.status === undefined;
    const changes = {
      ...(isOver ? NO_BAN : {}),
      ...(wanted.passwordHash === undefined ? {} : { mustChangePassword: null }),
      ...wanted,
    };
    const commit: Commit<CachedUser> = async (attempt) => {
      const user = await repository.update(seen, attempt(), changes, { ...options, now: now() });
      if (user !== null && isOver) {
        const event = { userId: seen.id, status: 'active', isOver, client: NO_CLIENT } as const;
        emit('StatusChanged', event);
      }
      return user;
    };
    return leavesTheAdmins(seen, changes) ? keepingAnAdmin(seen.id, commit) : commit;
  }

  return {
    decided: createDecider({
      ...deps,
      onUnconfirmed: (userId) => emit('ChangeUnconfirmed', { userId, client: NO_CLIENT }),
    }),
    update,
    updated(seen, changes, options) {
      const commit = update(seen, changes, options);
      return async (attempt, within) => ((await commit(attempt, within)) === null ? null : true);
    },
    remove(seen) {
      const commit: Commit<true> = async (attempt) =>
        (await repository.remove(seen, attempt())) || null;
      return seen.role === ADMIN ? keepingAnAdmin(seen.id, commit) : commit;
    },
    async unchanged({ id, rev }) {
      const user = await repository.find(id);
      return user?.rev === rev ? toCached(user) : null;
    },
  };
}

const earlier = (attempt: Attempt, until: Date): Attempt =>
  until < attempt.until ? { ...attempt, until } : attempt;
