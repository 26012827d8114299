import { assertMayActOn } from '../../../kernel/permission-refusals';
import type { Actor, Policy } from '../../../kernel/permissions';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import { noSuchUser } from '../problems';
import type { SessionView } from '../sessions/session-view';
import type { Sessions } from '../sessions/sessions';
import type { UsersPort } from '../users-port';

/** The requester, its client and its session. */
interface Administrator extends Actor {
  readonly sessionId: string;
}

/** Operations of privileged users on the sessions of others. Every method throws 404. */
export interface SessionAdministration {
  list(administrator: Administrator, userId: string): Promise<SessionView[]>;
  /**
   * These two throw 403 where the account has permissions that the administrator lacks. When they
   * resolve, no token of the ended sessions is accepted. Idempotent.
   */
  end(by: Administrator, userId: string, sid: string, client: ClientInfo): Promise<void>;
  endAll(by: Administrator, userId: string, client: ClientInfo): Promise<void>;
}

export interface SessionAdministrationDependencies {
  readonly users: Pick<UsersPort, 'get' | 'stored'>;
  readonly sessions: Pick<Sessions, 'list' | 'endIfValid' | 'endAll'>;
  readonly policy: Policy;
  readonly emit: EmitEvent;
}

export function createSessionAdministration(
  deps: SessionAdministrationDependencies,
): SessionAdministration {
  const { users, sessions, policy, emit } = deps;

  /**
   * By the role in MongoDB. A role that changes after this look ends every session by itself, so
   * the end that follows takes nothing from an account that was promoted meanwhile.
   */
  async function assertMayEnd(by: Actor, userId: string): Promise<void> {
    const target = await users.stored(userId);
    if (target === null) throw noSuchUser();
    assertMayActOn(policy, by, userId, target.role);
  }

  return {
    async list({ sessionId: sid }, userId) {
      if ((await users.get(userId)) === null) throw noSuchUser();
      return sessions.list({ userId, sid });
    },

    async end(by, userId, session, client) {
      await assertMayEnd(by, userId);
      if (!(await sessions.endIfValid(userId, session))) return;
      const how = { kind: 'administration', scope: 'one' } as const;
      emit('SessionsEnded', { userId, session, by: how, actor: by.userId, client });
    },

    async endAll(by, userId, client) {
      await assertMayEnd(by, userId);
      await sessions.endAll(userId);
      const how = { kind: 'administration', scope: 'all' } as const;
      emit('SessionsEnded', { userId, by: how, actor: by.userId, client });
    },
  };
}
