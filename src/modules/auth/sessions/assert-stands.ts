import { invalidToken } from '../problems';
import type { UsersPort } from '../users-port';
import type { CurrentSession } from './end-sessions';

/**
 * After a change by a session, in the database: a change that was under way at the end of its
 * session, by a logout, a reset or a new password, must not come after that. Where the session has
 * ended, it is undone, and this throws 401.
 */
export async function assertStands(
  users: Pick<UsersPort, 'stored' | 'sessionStands'>,
  { userId, sid, ver }: Pick<CurrentSession, 'userId' | 'sid' | 'ver'>,
  undo: () => Promise<unknown>,
): Promise<void> {
  const account = await users.stored(userId);
  if (account !== null && users.sessionStands(account, sid, ver)) return;
  await undo();
  throw invalidToken();
}
