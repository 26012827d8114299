import type { Config } from '../../../kernel/config/config';
import { sha256 } from '../../../kernel/crypto/digest';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { BackgroundQueue } from '../../../platform/jobs/background-queue';
import type { EmitEvent } from '../../domain-events';
import type { Tokens } from '../tokens/tokens';
import type { Account, KeptSession } from '../users-port';
import type { Amr } from './authentication';
import type { SessionEnder } from './end-sessions';
import { newRefreshToken } from './refresh-token';
import type { SessionRow } from './session-row';
import type { SessionStore } from './session-store';
import { type DeliveredPair, forCookie, issuePair } from './token-pair';

export interface SessionOpenerDependencies {
  readonly store: SessionStore;
  readonly tokens: Tokens;
  readonly ender: SessionEnder;
  readonly emit: EmitEvent;
  readonly backgroundQueue: BackgroundQueue;
  readonly settings: Config['sessions'];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** How the user has authenticated. `firstAmr`: in the first step, where there was another. */
interface OpenedBy {
  readonly amr: Amr;
  readonly firstAmr?: Amr | undefined;
}

export type OpenSession = (
  user: Account,
  client: ClientInfo,
  by: OpenedBy,
) => Promise<DeliveredPair>;

export function createSessionOpener(deps: SessionOpenerDependencies): OpenSession {
  const { store, tokens, ender, emit, backgroundQueue, settings, now } = deps;

  /** Ends the oldest sessions of a user who has more than `maxPerUser`. */
  async function trim(userId: string, keep: KeptSession, client: ClientInfo): Promise<void> {
    const rows = await store.ofUser(userId, new Date(now()));
    const surplus = rows.filter(({ _id }) => _id !== keep.sid).slice(settings.maxPerUser - 1);
    if (surplus.length === 0) return;
    const sids = surplus.map(({ _id }) => _id);
    await ender.end(userId, sids, keep);
    const event = { userId, by: { kind: 'too_many_sessions' }, actor: userId, client } as const;
    for (const session of sids) emit('SessionsEnded', { ...event, session });
  }

  return async (user, client, { amr, firstAmr }) => {
    const token = newRefreshToken();
    const createdMs = now();
    const createdAt = new Date(createdMs);
    const absoluteUntil = new Date(createdMs + settings.maxTtlSeconds * 1000);
    const idleUntil = new Date(createdMs + settings.idleTtlSeconds * 1000);
    const until = idleUntil < absoluteUntil ? idleUntil : absoluteUntil;
    const pair = issuePair(tokens, user, token, { signedInAt: createdAt, until, amr });
    const row: SessionRow = {
      _id: token.sid,
      userId: user.id,
      family: sha256(token.family),
      tokenHash: sha256(token.text),
      used: [],
      version: user.sessionVersion,
      createdAt,
      amr,
      ...(firstAmr && { firstAmr }),
      lastUsedAt: createdAt,
      until,
      absoluteUntil,
      accessUntil: new Date(now() + pair.expires_in * 1000),
      ...bindingOf(client),
      userAgent: client.userAgent,
      ipPrefix: client.ipPrefix,
    };
    try {
      await store.insert(row);
      await trim(user.id, { sid: row._id, ver: row.version }, client);
    } catch (error) {
      // The client gets no tokens. The insert may have succeeded all the same, so the session that
      // nobody can use is withdrawn.
      backgroundQueue.enqueue('withdraw-session', () => store.withdraw(row));
      throw error;
    }
    return row.inCookie === true ? forCookie(pair, settings.idleTtlSeconds) : pair;
  };
}

/** The token binding that the request asks for, as the session keeps it. */
export const bindingOf = ({
  tokenBinding,
}: ClientInfo): Pick<SessionRow, 'inCookie' | 'dpopJkt'> => ({
  ...(tokenBinding?.inCookie === true && { inCookie: true }),
  ...(tokenBinding?.dpopJkt !== undefined && { dpopJkt: tokenBinding.dpopJkt }),
});
