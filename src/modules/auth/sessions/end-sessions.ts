import { invalidToken } from '../problems';
import type { KeptSession, UsersPort } from '../users-port';
import type { SessionStore } from './session-store';

/** The session that sent a request, and the session version in its access token. */
export interface CurrentSession {
  readonly userId: string;
  readonly sid: string;
  readonly ver: number;
  /** SHA-256 of the refresh token in the cookie, where a page in the list sent the request. */
  readonly cookieHash?: string | undefined;
}

/** Every method is idempotent: when it resolves, no token of an ended session is accepted. */
export interface SessionEnder {
  /**
   * Resolves true for the call that ended them. For sessions that are known to be valid;
   * `endIfValid` checks first and writes nothing where there is no valid session.
   */
  end(userId: string, sids: readonly string[], keep?: KeptSession): Promise<boolean>;
  endIfValid(userId: string, sid: string): Promise<boolean>;
  /**
   * Ends the token, without a session, by which an administrator acts as the user. Resolves true
   * for the call that ended it.
   */
  endActing(userId: string, sid: string): Promise<boolean>;
  /** Throws 401 when the current session was ended meanwhile. */
  endOthers(current: CurrentSession): Promise<void>;
  endAll(userId: string): Promise<void>;
  /** Removes the records of sessions that the user document has already ended. */
  forget(userId: string, except?: string): Promise<void>;
}

/**
 * The longest access token lifetime and clock leeway that the settings allow: this or another host
 * may have issued tokens under other settings than the present ones.
 */
export const MAX_ACCESS_SECONDS = 86_400;
export const MAX_LEEWAY_SECONDS = 60;
/** The same for tokens by which an administrator acts as a user. */
const MAX_ACTING_SECONDS = 900;

export function createSessionEnder({
  store,
  users,
  now,
}: {
  readonly store: SessionStore;
  readonly users: UsersPort;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}): SessionEnder {
  async function end(
    userId: string,
    sids: readonly string[],
    keep?: KeptSession,
  ): Promise<boolean> {
    // Refresh tokens first, then access tokens, then the record: the next attempt completes what a
    // crash interrupted.
    const { count, accessUntil = new Date(now() + MAX_ACCESS_SECONDS * 1000) } =
      await store.markEnded(userId, sids);
    const until = new Date(accessUntil.getTime() + MAX_LEEWAY_SECONDS * 1000);
    await users.revokeSessions(userId, sids, until, keep);
    await store.remove(userId, sids);
    return count > 0;
  }

  /** Keeps the sessions of later logins: they have the new session version. */
  async function forget(userId: string, except?: string): Promise<void> {
    const user = await users.get(userId);
    await store.removeOlder(userId, user?.sessionVersion, except);
  }

  return {
    end,
    async endIfValid(userId, sid) {
      const row = await store.find(sid);
      const isOwn = row !== null && row.userId === userId;
      const user = isOwn ? await users.get(userId) : null;
      if (isOwn && user !== null && users.sessionStands(user, sid, row.version))
        return end(userId, [sid]);
      // The end may not have been acknowledged, also where the record is gone already.
      await users.tokensEnded([userId]);
      if (isOwn) await store.remove(userId, [sid]);
      return false;
    },
    async endActing(userId, sid) {
      const ms = (MAX_ACTING_SECONDS + MAX_LEEWAY_SECONDS) * 1000;
      return users.revokeSessions(userId, [sid], new Date(now() + ms));
    },
    async endOthers({ userId, sid, ver }) {
      if (!(await users.endSessions(userId, { keep: { sid, ver } }))) throw invalidToken();
      await forget(userId, sid);
    },
    async endAll(userId) {
      await users.endSessions(userId, {});
      await forget(userId);
    },
    forget,
  };
}
