import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { CurrentSession } from './end-sessions';
import type { SessionView } from './session-view';
import type { Sessions } from './sessions';

type LogoutScope = 'local' | 'others' | 'global';

/** Operations of users on their own sessions. */
export interface OwnSessions {
  /** An administrator who acts as the user ends that token alone. */
  logout(current: CurrentSession, scope: LogoutScope, client: ClientInfo): Promise<void>;
  sessions(current: CurrentSession): Promise<SessionView[]>;
  /** Idempotent: a session that does not exist has ended. */
  endSession(current: CurrentSession, sid: string, client: ClientInfo): Promise<void>;
}

export function createOwnSessions({
  sessions,
  emit,
}: {
  readonly sessions: Sessions;
  readonly emit: EmitEvent;
}): OwnSessions {
  async function end(
    current: CurrentSession,
    scope: LogoutScope,
    { impersonation }: ClientInfo,
  ): Promise<boolean> {
    if (impersonation !== undefined) return sessions.endActing(current.userId, current.sid);
    if (scope === 'local') return sessions.end(current.userId, current.sid);
    await (scope === 'others' ? sessions.endOthers(current) : sessions.endAll(current.userId));
    return true;
  }

  return {
    async logout(current, scope, client) {
      // Of several concurrent requests that end one session, one has ended it and reports it.
      if (!(await end(current, scope, client))) return;
      const { userId, sid: session } = current;
      const by = { kind: 'logout', scope } as const;
      emit('SessionsEnded', { userId, session, by, actor: userId, client });
    },

    sessions: (current) => sessions.list(current),

    async endSession({ userId, sid: own }, sid, client) {
      if (!(await (sid === own ? sessions.end : sessions.endIfValid)(userId, sid))) return;
      const by = { kind: 'user' } as const;
      emit('SessionsEnded', { userId, session: sid, by, actor: userId, client });
    },
  };
}
