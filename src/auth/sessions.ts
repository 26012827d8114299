import type { Region } from '../cache/port';
import type { Config } from '../config';
import { type CachedUser, sessionStands } from '../users/cached';
import type { KeptSession } from '../users/model';
import type { UserService } from '../users/service';
import type { Audit } from './audit';
import type { ClientInfo } from './client';
import { invalidRefreshToken, loginTooOld, refreshTokenReused } from './problems';
import { digest, newRefreshToken, parseRefreshToken, type RefreshToken, successorOf } from './refresh-token';
import { seal, unseal } from './sealing';
import type { SessionRow, SessionStore } from './session-store';
import { invalidToken, type Tokens } from './tokens';

/** What a client gets to hold. JSON as RFC 6749 §5.1 names it. */
export interface TokenPair {
  readonly access_token: string;
  readonly token_type: 'Bearer';
  readonly expires_in: number;
  readonly refresh_token: string;
}

export interface SessionView {
  readonly id: string;
  readonly current: boolean;
  readonly created_at: string;
  readonly last_used_at: string;
  readonly expires_at: string;
  readonly user_agent: string;
  readonly ip_prefix: string;
}

/** The session that speaks: which, and the version of the access token it speaks with. */
export interface CurrentSession {
  readonly userId: string;
  readonly sid: string;
  readonly ver: number;
}

export interface Sessions {
  open(user: CachedUser, client: ClientInfo): Promise<TokenPair>;
  /**
   * A new pair for a refresh token. The same token again within the grace window gets the same answer, later it ends the
   * session. Throws 401 `invalid_refresh_token` or `refresh_token_reused`.
   */
  refresh(text: string, client: ClientInfo): Promise<TokenPair>;
  list(current: CurrentSession): Promise<SessionView[]>;
  /** Idempotent. After it has resolved no later request with the session's tokens is accepted. */
  end(userId: string, sids: readonly string[]): Promise<void>;
  endOthers(current: CurrentSession): Promise<void>;
  endAll(userId: string): Promise<void>;
  /** Housekeeping after the user document has ended sessions: their records. */
  forget(userId: string, except?: string): Promise<void>;
  /** The session that a refresh token is or was of, used up or not. */
  ofToken(text: string): Promise<SessionRow | undefined>;
  /** Throws 401 `insufficient_user_authentication` when the session's login is older than `recentLoginSeconds`. */
  assertRecentLogin(sid: string): Promise<void>;
  /** The session of a refresh token that is good now, else undefined. */
  peek(text: string): Promise<SessionRow | undefined>;
}

export interface SessionsDependencies {
  readonly store: SessionStore;
  readonly users: Region<CachedUser>;
  readonly userService: UserService;
  readonly tokens: Tokens;
  readonly audit: Audit;
  readonly settings: Config['sessions'];
  /** Life of an access token and the leeway of clocks, in seconds. */
  readonly accessTtlSeconds: number;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
}

/** Answers kept at a time: one that was rotated away from this often within the window counts as reused. */
const MAX_GRACE = 5;
const answerContext = (sid: string) => `refresh answer ${sid}`;

export function createSessions(deps: SessionsDependencies): Sessions {
  const { store, users, userService, tokens, audit, settings, accessTtlSeconds, now } = deps;
  const later = (seconds: number) => new Date(now() + seconds * 1000);
  const earlier = (a: Date, b: Date) => (a < b ? a : b);

  function pair(user: CachedUser, refresh: RefreshToken): TokenPair {
    const { token, expiresInSeconds } = tokens.issue(user, refresh.sid);
    return { access_token: token, token_type: 'Bearer', expires_in: expiresInSeconds, refresh_token: refresh.text };
  }

  async function end(userId: string, sids: readonly string[], keep?: KeptSession): Promise<void> {
    // Refresh first, then access, then the record: whatever a crash leaves undone is done by the next attempt.
    await store.markEnded(userId, sids, new Date(now()));
    await userService.revokeSessions(userId, sids, later(accessTtlSeconds), keep);
    await store.remove(userId, sids);
  }

  /** Not those of logins that came after the end: theirs is the new version. */
  async function forget(userId: string, except?: string): Promise<void> {
    const user = await users.get(userId);
    await store.removeOlder(userId, user?.sessionVersion, except);
  }

  async function trim(userId: string, keep: KeptSession): Promise<void> {
    const rows = await store.ofUser(userId, new Date(now()));
    const surplus = rows.filter(({ _id }) => _id !== keep.sid).slice(settings.maxPerUser - 1);
    if (surplus.length === 0) return;
    await end(
      userId,
      surplus.map(({ _id }) => _id),
      keep,
    );
  }

  async function ofToken(text: string): Promise<SessionRow | undefined> {
    const token = parseRefreshToken(text);
    const row = token === undefined ? null : await store.find(token.sid);
    return row !== null && row.family === digest(token?.family ?? '') ? row : undefined;
  }

  /** The row if the token is of its family, whether or not it is the present one. */
  async function standingRow(text: string): Promise<SessionRow> {
    const row = await ofToken(text);
    if (row === undefined) throw invalidRefreshToken();
    if (row.endedAt !== undefined) {
      // An end that was interrupted: complete it.
      await end(row.userId, [row._id]);
      throw invalidRefreshToken();
    }
    if (row.until.getTime() <= now()) throw invalidRefreshToken();
    return row;
  }

  /** The user, if the session still stands in the user's own document. */
  async function holderOf(row: SessionRow): Promise<CachedUser> {
    const user = await users.get(row.userId);
    if (user !== null && sessionStands(user, row._id, row.version)) return user;
    await store.remove(row.userId, [row._id]);
    throw invalidRefreshToken();
  }

  async function rotate(row: SessionRow, user: CachedUser, token: RefreshToken, client: ClientInfo): Promise<TokenPair | undefined> {
    const next = successorOf(token);
    const answer = pair(user, next);
    const used = {
      hash: row.tokenHash,
      until: later(settings.refreshGraceSeconds),
      answer: seal(token.text, answerContext(row._id), Buffer.from(JSON.stringify(answer))),
    };
    const live = row.used.filter(({ until }) => until.getTime() > now());
    const won = await store.rotate(row._id, row.tokenHash, {
      tokenHash: digest(next.text),
      used: [...live, used].slice(-MAX_GRACE),
      version: user.sessionVersion,
      lastUsedAt: new Date(now()),
      until: earlier(later(settings.idleTtlSeconds), row.absoluteUntil),
      userAgent: client.userAgent,
      ipPrefix: client.ipPrefix,
    });
    return won ? answer : undefined;
  }

  async function refresh(text: string, client: ClientInfo): Promise<TokenPair> {
    const token = parseRefreshToken(text);
    if (token === undefined) throw invalidRefreshToken();
    const hash = digest(text);
    // Twice at most: who loses the race finds the winner's answer.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const row = await standingRow(text);
      const user = await holderOf(row);
      if (row.tokenHash === hash) {
        const answer = await rotate(row, user, token, client);
        if (answer !== undefined) return answer;
        continue;
      }
      const repeated = row.used.find((used) => used.hash === hash && used.until.getTime() > now());
      if (repeated !== undefined) return JSON.parse(unseal(text, answerContext(row._id), repeated.answer).toString()) as TokenPair;
      await end(row.userId, [row._id]);
      audit.record({ type: 'refresh_token_reused', result: 'failure', subject: row.userId, session: row._id, client });
      throw refreshTokenReused();
    }
    throw invalidRefreshToken();
  }

  return {
    async open(user, client) {
      const token = newRefreshToken();
      const createdAt = new Date(now());
      const absoluteUntil = new Date(createdAt.getTime() + settings.maxTtlSeconds * 1000);
      await store.insert({
        _id: token.sid,
        userId: user.id,
        family: digest(token.family),
        tokenHash: digest(token.text),
        used: [],
        version: user.sessionVersion,
        createdAt,
        lastUsedAt: createdAt,
        until: earlier(later(settings.idleTtlSeconds), absoluteUntil),
        absoluteUntil,
        userAgent: client.userAgent,
        ipPrefix: client.ipPrefix,
      });
      await trim(user.id, { sid: token.sid, ver: user.sessionVersion });
      return pair(user, token);
    },
    refresh,
    async list({ userId, sid }) {
      const [rows, user] = await Promise.all([store.ofUser(userId, new Date(now())), users.get(userId)]);
      return rows.filter((row) => user !== null && sessionStands(user, row._id, row.version)).map((row) => viewOf(row, sid));
    },
    end: (userId, sids) => end(userId, sids),
    async endOthers({ userId, sid, ver }) {
      // The session that asks was ended meanwhile: its word no longer counts.
      if (!(await userService.endSessions(userId, { keep: { sid, ver } }))) throw invalidToken();
      await forget(userId, sid);
    },
    async endAll(userId) {
      await userService.endSessions(userId, {});
      await forget(userId);
    },
    forget,
    ofToken,
    async assertRecentLogin(sid) {
      const row = await store.find(sid);
      const ageMs = row === null ? Number.POSITIVE_INFINITY : now() - row.createdAt.getTime();
      if (ageMs > settings.recentLoginSeconds * 1000) throw loginTooOld(settings.recentLoginSeconds);
    },
    async peek(text) {
      const row = await ofToken(text);
      if (row === undefined || row.tokenHash !== digest(text) || row.endedAt !== undefined || row.until.getTime() <= now())
        return undefined;
      const user = await users.get(row.userId);
      return user !== null && sessionStands(user, row._id, row.version) ? row : undefined;
    },
  };
}

function viewOf(row: SessionRow, currentSid: string): SessionView {
  return {
    id: row._id,
    current: row._id === currentSid,
    created_at: row.createdAt.toISOString(),
    last_used_at: row.lastUsedAt.toISOString(),
    expires_at: row.until.toISOString(),
    user_agent: row.userAgent,
    ip_prefix: row.ipPrefix,
  };
}
