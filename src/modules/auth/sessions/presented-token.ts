import { sha256 } from '../../../kernel/crypto/digest';
import type { Problem } from '../../../kernel/errors';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import { invalidRefreshToken, refreshTokenReused } from '../problems';
import type { Account, UsersPort } from '../users-port';
import { createBindingCheck, type Presented } from './assert-bound';
import type { SessionEnder } from './end-sessions';
import { type FoundSession, isLive, type SessionRow } from './session-row';
import { findByToken, type SessionStore } from './session-store';

export interface PresentedToken extends Presented {
  readonly text: string;
}

/** The state of a refresh token, without a rotation. */
export interface PresentedTokens {
  /** The session of the token, which may be a used one of the same family. Throws 401. */
  validRow(text: string): Promise<FoundSession>;
  /** The user, if the user document has not ended the session. Throws 401. */
  ownerOf(row: SessionRow): Promise<Account>;
  /** Throws where the token comes from elsewhere than its session keeps it, or without its key. */
  assertBound(row: SessionRow, presented: Presented, client: ClientInfo): Promise<void>;
  /** Ends the session of a token that is used past its grace window. Resolves with the 401. */
  endReused(row: SessionRow, client: ClientInfo): Promise<Problem>;
  /**
   * The session of a token that could refresh it, and its owner. Refused, and with the same
   * effects, as by a refresh: past its grace window a used token ends the session.
   */
  identify(
    presented: PresentedToken,
    client: ClientInfo,
  ): Promise<{ readonly row: SessionRow; readonly owner: Account }>;
}

export interface PresentedTokensDependencies {
  readonly store: SessionStore;
  readonly users: UsersPort;
  readonly ender: SessionEnder;
  readonly emit: EmitEvent;
}

export function createPresentedTokens(deps: PresentedTokensDependencies): PresentedTokens {
  const { store, users, ender, emit } = deps;
  const assertBound = createBindingCheck(deps);

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

  async function ownerOf(row: SessionRow): Promise<Account> {
    const user = await users.get(row.userId);
    if (user !== null && users.sessionStands(user, row._id, row.version)) return user;
    await store.remove(row.userId, [row._id]);
    throw invalidRefreshToken();
  }

  async function endReused(row: SessionRow, client: ClientInfo): Promise<Problem> {
    const { userId, _id: session } = row;
    // Of several concurrent reuses, one has ended the session and reports it.
    if (await ender.end(userId, [session]))
      emit('SessionsEnded', { userId, session, by: { kind: 'refresh_token_reuse' }, client });
    return refreshTokenReused();
  }

  return {
    ...{ validRow, ownerOf, assertBound, endReused },
    async identify(presented, client) {
      const row = await validRow(presented.text);
      await assertBound(row, presented, client);
      const owner = await ownerOf(row);
      if (!isLive(row, sha256(presented.text))) throw await endReused(row, client);
      return { row, owner };
    },
  };
}
