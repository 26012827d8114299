import type { Config } from '../../../kernel/config/config';
import { sha256 } from '../../../kernel/crypto/digest';
import { decrypt, encrypt } from '../../../kernel/crypto/encryption';
import type { ClientInfo } from '../../../platform/http/client-info';
import { invalidRefreshToken, tooManyRefreshes } from '../problems';
import type { Tokens } from '../tokens/tokens';
import { sessionAuthOf } from './authentication';
import type { PresentedToken, PresentedTokens } from './presented-token';
import { parseRefreshToken, type RefreshToken, successorOf } from './refresh-token';
import type { FoundSession } from './session-row';
import type { SessionStore } from './session-store';
import { issuePair, pairBytes } from './token-pair';

export interface SessionRefresherDependencies {
  readonly store: SessionStore;
  readonly presented: PresentedTokens;
  readonly tokens: Tokens;
  readonly settings: Config['sessions'];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** Resolves with the JSON of a TokenPair. */
export type RefreshSession = (request: PresentedToken, client: ClientInfo) => Promise<Buffer>;

/**
 * Most rotations within one grace window. Each keeps its answer, about 1 KB, until its window ends;
 * without a limit the document could grow past MongoDB's maximum. Further ones get 429, and the
 * session stays. No ordinary client comes near it.
 */
const MAX_GRACE = 100;
const answerContext = (sid: string) => `refresh answer ${sid}`;

export function createSessionRefresher(deps: SessionRefresherDependencies): RefreshSession {
  const { store, presented, tokens, settings, now } = deps;
  const { validRow, ownerOf, assertBound, endReused } = presented;
  const later = (seconds: number) => new Date(now() + seconds * 1000);

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
