import type { Config } from '../../../kernel/config/config';
import { sha256 } from '../../../kernel/crypto/digest';
import { decrypt, encrypt } from '../../../kernel/crypto/encryption';
import type { Problem } from '../../../kernel/errors';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import { invalidRefreshToken, refreshTokenReused, tooManyRefreshes } from '../problems';
import type { Tokens } from '../tokens/tokens';
import type { Account, UsersPort } from '../users-port';
import { createBindingCheck, type Presented } from './assert-bound';
import { sessionAuthOf } from './authentication';
import type { SessionEnder } from './end-sessions';
import { parseRefreshToken, type RefreshToken, successorOf } from './refresh-token';
import {
  type FoundSession,
  findByToken,
  type SessionRow,
  type SessionStore,
} from './session-store';
import { issuePair, pairBytes } from './token-pair';

export interface SessionRefresherDependencies {
  readonly store: SessionStore;
  readonly users: UsersPort;
  readonly tokens: Tokens;
  readonly ender: SessionEnder;
  readonly emit: EmitEvent;
  readonly settings: Config['sessions'];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

interface RefreshRequest extends Presented {
  readonly text: string;
}

/** Resolves with the JSON of a TokenPair. */
export type RefreshSession = (request: RefreshRequest, client: ClientInfo) => Promise<Buffer>;

/**
 * Most rotations within one grace window. Each keeps its answer, about 1 KB, until its window ends;
 * without a limit the document could grow past MongoDB's maximum. Further ones get 429, and the
 * session stays. No ordinary client comes near it.
 */
const MAX_GRACE = 100;
const answerContext = (sid: string) => `refresh answer ${sid}`;

export function createSessionRefresher(deps: SessionRefresherDependencies): RefreshSession {
  const { store, users, tokens, ender, emit, settings, now } = deps;
  const assertBound = createBindingCheck(deps);
  const later = (seconds: number) => new Date(now() + seconds * 1000);

  /** The session of the token, which may be a used one of the same family. Throws 401. */
  async function validRow(text: string): Promise<FoundSession> {
    const row = await findByToken(store, text);
    if (row === undefined) throw invalidRefreshToken();
    if (row.endedAt !== undefined) {
      // Completes an end that was interrupted.
      await ender.end(row.userId, [row._id]);
      throw invalidRefreshToken();
    }
    if (row.until <= row.readAt) throw invalidRefreshToken();
    return row;
  }

  /** The user, if the user document has not ended the session. Throws 401. */
  async function ownerOf(row: SessionRow): Promise<Account> {
    const user = await users.get(row.userId);
    if (user !== null && users.sessionStands(user, row._id, row.version)) return user;
    await store.remove(row.userId, [row._id]);
    throw invalidRefreshToken();
  }

  /** undefined: another request has rotated the token first. */
  async function rotate(
    row: FoundSession,
    token: RefreshToken,
    client: ClientInfo,
  ): Promise<Buffer | undefined> {
    const user = await ownerOf(row);
    assertWithinGrace(row);
    const next = successorOf(token);
    const idleUntil = later(settings.idleTtlSeconds);
    const until = idleUntil < row.absoluteUntil ? idleUntil : row.absoluteUntil;
    // An access token with less than a second left would look expired.
    if (until.getTime() < now() + 1000) throw invalidRefreshToken();
    const pair = issuePair(tokens, user, next, sessionAuthOf(row, until));
    const answer = pairBytes(pair);
    const isRotated = await store.rotate(row._id, row.tokenHash, {
      tokenHash: sha256(next.text),
      used: {
        hash: row.tokenHash,
        answer: encrypt(token.text, answerContext(row._id), answer),
      },
      version: user.sessionVersion,
      userAgent: client.userAgent,
      ipPrefix: client.ipPrefix,
      graceSeconds: settings.refreshGraceSeconds,
      idleSeconds: settings.idleTtlSeconds,
      accessUntil: later(pair.expires_in),
    });
    return isRotated ? answer : undefined;
  }

  async function endReused(row: SessionRow, client: ClientInfo): Promise<Problem> {
    const { userId, _id: session } = row;
    // Of several concurrent reuses, one has ended the session and reports it.
    if (await ender.end(userId, [session]))
      emit('SessionsEnded', { userId, session, by: { kind: 'refresh_token_reuse' }, client });
    return refreshTokenReused();
  }

  /** The answer that the first use of the token got. Past the grace window the session ends. */
  async function repeatedAnswer(
    row: FoundSession,
    text: string,
    client: ClientInfo,
  ): Promise<Buffer> {
    await ownerOf(row);
    const hash = sha256(text);
    const used = row.used.find((one) => one.hash === hash && one.until > row.readAt);
    if (used === undefined) throw await endReused(row, client);
    return decrypt(text, answerContext(row._id), used.answer);
  }

  return async (request, client) => {
    const { text } = request;
    const token = parseRefreshToken(text);
    if (token === undefined) throw invalidRefreshToken();
    const row = await validRow(text);
    await assertBound(row, request, client);
    if (row.tokenHash !== sha256(text)) return repeatedAnswer(row, text, client);
    const answer = await rotate(row, token, client);
    if (answer !== undefined) return answer;
    // A concurrent request rotated the token: read again, to give the answer of that one.
    const rotated = await validRow(text);
    if (rotated.tokenHash === row.tokenHash) throw invalidRefreshToken();
    return repeatedAnswer(rotated, text, client);
  };
}

function assertWithinGrace({ used, readAt }: FoundSession): void {
  const live = used.filter(({ until }) => until > readAt);
  const [oldest] = live;
  if (oldest !== undefined && live.length >= MAX_GRACE)
    throw tooManyRefreshes((oldest.until.getTime() - readAt.getTime()) / 1000);
}
