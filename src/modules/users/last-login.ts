import { Problem } from '../../kernel/errors';
import type { TypedCache } from '../../platform/cache/port';
import type { CachedUser } from './cached';
import { createDecider, type DeciderDependencies } from './decide';

/** Logins within this time after one that was recorded are not. */
const INTERVAL_MS = 3_600_000;

/**
 * Records that a user has signed in, at most once an hour. No revision moves: a client that has
 * just signed in can rely on the entity tag that it reads.
 */
export type NoteLogin = (id: string) => Promise<void>;

export function createLoginNotes(
  deps: DeciderDependencies & {
    readonly users: TypedCache<CachedUser>;
    readonly now: () => Date;
  },
): NoteLogin {
  const { repository, users, now } = deps;
  const decided = createDecider(deps);
  const isDue = (lastLoginMs = 0) => lastLoginMs < now().getTime() - INTERVAL_MS;
  return async (id) => {
    const user = users.peek(id) ?? (await users.get(id));
    if (user === null || !isDue(user.lastLoginMs)) return;
    await decided
      .write(id, undefined, ({ lastLoginAt }) => async (attempt) => {
        if (isDue(lastLoginAt?.getTime())) await repository.noteLogin(id, attempt(), INTERVAL_MS);
        return true;
      })
      .catch((error: unknown) => {
        // Removed meanwhile.
        if (!(error instanceof Problem) || error.status !== 404) throw error;
      });
  };
}
