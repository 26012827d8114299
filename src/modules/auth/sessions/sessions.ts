import type { Config } from '../../../kernel/config/config';
import { sha256 } from '../../../kernel/crypto/digest';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { BackgroundQueue } from '../../../platform/jobs/background-queue';
import type { EmitEvent } from '../../domain-events';
import { factorTooOld, invalidToken, loginTooOld } from '../problems';
import type { Tokens } from '../tokens/tokens';
import type { UsersPort } from '../users-port';
import { type Amr, authenticatedAt, hasFactor, sessionAuthOf, steppedUp } from './authentication';
import { type CurrentSession, createSessionEnder } from './end-sessions';
import { createSessionOpener, type OpenSession } from './open-session';
import {
  createPresentedTokens,
  type PresentedToken,
  type PresentedTokens,
} from './presented-token';
import { createSessionRefresher, type RefreshSession } from './refresh-session';
import { renewedToken } from './refresh-token';
import { type FoundSession, isLive, type SessionRow } from './session-row';
import { findByToken, type SessionStore } from './session-store';
import { type SessionView, sessionViewOf } from './session-view';
import {
  type DeliveredPair,
  forCookie,
  issuePair,
  type TokenPair,
  withoutRefreshToken,
} from './token-pair';

export interface Sessions {
  readonly open: OpenSession;
  /**
   * The JSON of a new TokenPair. The same token again within the grace window gets the same bytes;
   * later it ends the session. Throws 401 `invalid_refresh_token` or `refresh_token_reused`, and
   * 429 `too_many_refreshes`. Throws 400 `invalid_dpop_proof` where the session is bound to a key.
   */
  readonly refresh: RefreshSession;
  /**
   * After a change of the password: a new pair for the current session. All its earlier refresh
   * tokens are revoked. Throws 401 when the session was ended meanwhile. A session that keeps its
   * refresh token in a cookie gives one to that cookie alone: not to a holder of the access token.
   */
  renew(current: CurrentSession): Promise<DeliveredPair>;
  /**
   * The same, after a factor of the user was verified: the authentication is of now. Without the
   * cookie of a session that keeps its refresh token there, that token stays as it is.
   */
  stepUp(current: CurrentSession, factor: Amr): Promise<DeliveredPair>;
  /**
   * The factors of the user have changed: other sessions have neither stepped up nor are recent.
   */
  endStepUps(userId: string, except?: string): Promise<void>;
  /** Of the user; `sid` is marked as the current one. */
  list(of: Pick<CurrentSession, 'userId' | 'sid'>): Promise<SessionView[]>;
  /**
   * When it resolves, no token of the session is accepted. Resolves true for the call that ended
   * it. For a session that is known to be valid; `endIfValid` checks first and writes nothing where
   * there is no valid session.
   */
  end(userId: string, sid: string): Promise<boolean>;
  endIfValid(userId: string, sid: string): Promise<boolean>;
  /** Ends the token, without a session, by which an administrator acts as the user. */
  endActing(userId: string, sid: string): Promise<boolean>;
  /** Throws 401 when the current session was ended meanwhile. */
  endOthers(current: CurrentSession): Promise<void>;
  endAll(userId: string): Promise<void>;
  /** Removes the records of sessions that the user document has already ended. */
  forget(userId: string, except?: string): Promise<void>;
  /**
   * The session of a refresh token, current or used, where it was presented as the session wants.
   * Throws 401 `invalid_refresh_token` and 400 `invalid_dpop_proof` where it was not.
   */
  findPresented(presented: PresentedToken, client: ClientInfo): Promise<SessionRow | undefined>;
  readonly identify: PresentedTokens['identify'];
  /** The session of a refresh token that would be accepted now. */
  findByCurrentToken(text: string): Promise<SessionRow | undefined>;
  /**
   * Throws 401 `insufficient_user_authentication` when the last login or step-up of the session
   * is older than `recentLoginSeconds`, or was without the factor that is needed.
   */
  assertRecentLogin(sid: string, needsFactor?: boolean): Promise<void>;
}

export interface SessionsDependencies {
  readonly store: SessionStore;
  readonly users: UsersPort;
  readonly tokens: Tokens;
  readonly emit: EmitEvent;
  readonly backgroundQueue: BackgroundQueue;
  readonly settings: Config['sessions'];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** Whether the client may have a new refresh token: of a session in a cookie, the cookie alone. */
function receiverOf(row: FoundSession, cookieHash: string | undefined) {
  if (row.inCookie !== true) return 'body';
  return cookieHash !== undefined && isLive(row, cookieHash) ? 'cookie' : 'nobody';
}

export function createSessions(deps: SessionsDependencies): Sessions {
  const { store, users, tokens, settings, now } = deps;
  const ender = createSessionEnder(deps);
  const presentedTokens = createPresentedTokens({ ...deps, ender });

  async function renewed(
    { userId, sid, cookieHash }: CurrentSession,
    factor?: Amr,
  ): Promise<DeliveredPair> {
    const [row, user] = await Promise.all([store.find(sid), users.get(userId)]);
    const isValid =
      row !== null &&
      row.userId === userId &&
      user !== null &&
      users.sessionStands(user, sid, row.version) &&
      row.until.getTime() >= now() + 1000;
    if (!isValid) throw invalidToken();
    const token = renewedToken(sid);
    const stepUp = factor && steppedUp(row, factor);
    const present: SessionRow = stepUp
      ? { ...row, ...stepUp, authenticatedAt: row.readAt, stepUpEnded: false }
      : row;
    const pair = issuePair(tokens, user, token, sessionAuthOf(present, row.until));
    const to = receiverOf(row, cookieHash);
    const refresh = { family: sha256(token.family), tokenHash: sha256(token.text) };
    const isRenewed = await store.renew(sid, {
      ...(to === 'nobody' && stepUp ? {} : { refresh }),
      version: user.sessionVersion,
      accessUntil: new Date(now() + pair.expires_in * 1000),
      ...(stepUp && { stepUp }),
    });
    if (!isRenewed) throw invalidToken();
    return delivered(pair, to);
  }

  function delivered(pair: TokenPair, to: ReturnType<typeof receiverOf>): DeliveredPair {
    if (to === 'nobody') return withoutRefreshToken(pair);
    return to === 'cookie' ? forCookie(pair, settings.idleTtlSeconds) : pair;
  }

  async function list({
    userId,
    sid,
  }: Pick<CurrentSession, 'userId' | 'sid'>): Promise<SessionView[]> {
    const [rows, user] = await Promise.all([
      store.ofUser(userId, new Date(now())),
      users.get(userId),
    ]);
    return rows
      .filter((row) => user !== null && users.sessionStands(user, row._id, row.version))
      .map((row) => sessionViewOf(row, sid));
  }

  async function findPresented(
    presented: PresentedToken,
    client: ClientInfo,
  ): Promise<SessionRow | undefined> {
    const row = await findByToken(store, presented.text);
    if (row !== undefined) await presentedTokens.assertBound(row, presented, client);
    return row;
  }

  async function findByCurrentToken(text: string): Promise<SessionRow | undefined> {
    const row = await findByToken(store, text);
    if (row === undefined || row.endedAt !== undefined || row.until <= row.readAt) return undefined;
    if (row.tokenHash !== sha256(text)) return undefined;
    const user = await users.get(row.userId);
    return user !== null && users.sessionStands(user, row._id, row.version) ? row : undefined;
  }

  async function assertRecentLogin(sid: string, needsFactor = false): Promise<void> {
    const row = await store.find(sid);
    const ageMs =
      row === null || row.stepUpEnded === true
        ? Number.POSITIVE_INFINITY
        : row.readAt.getTime() - authenticatedAt(row).getTime();
    if (ageMs > settings.recentLoginSeconds * 1000) throw loginTooOld(settings.recentLoginSeconds);
    if (needsFactor && (row === null || !hasFactor(row)))
      throw factorTooOld(settings.recentLoginSeconds);
  }

  return {
    open: createSessionOpener({ ...deps, ender }),
    refresh: createSessionRefresher({ ...deps, presented: presentedTokens }),
    renew: (current) => renewed(current),
    stepUp: (current, factor) => renewed(current, factor),
    endStepUps: (userId, except) => store.endStepUps(userId, except),
    list,
    ...ender,
    end: (userId, sid) => ender.end(userId, [sid]),
    findPresented,
    identify: presentedTokens.identify,
    findByCurrentToken,
    assertRecentLogin,
  };
}
