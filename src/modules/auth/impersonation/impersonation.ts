import { randomBytes } from 'node:crypto';
import { Problem } from '../../../kernel/errors';
import { ADMIN, type Policy } from '../../../kernel/permissions';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import { OAuthError } from '../oauth/oauth-error';
import { Principal } from '../principal';
import type { Sessions } from '../sessions/sessions';
import type { AccessClaims } from '../tokens/claims';
import type { SubjectResolver } from '../tokens/subject-resolver';
import type { Tokens } from '../tokens/tokens';
import type { Account, UsersPort } from '../users-port';

export interface ImpersonationRequest {
  /** Id of the user to act as. */
  readonly userId: string;
  /** The administrator's access token. */
  readonly actorToken: string;
  /** For the audit log. */
  readonly reason: string | undefined;
}

interface ImpersonationToken {
  readonly token: string;
  readonly expiresInSeconds: number;
}

/** Administrators act as users, for a short time and on record (ADR 29). */
export interface Impersonation {
  /** Throws OAuthError `invalid_request` (RFC 8693 §2.2.2). */
  start(request: ImpersonationRequest, client: ClientInfo): Promise<ImpersonationToken>;
}

export interface ImpersonationDependencies {
  readonly tokens: Tokens;
  readonly subjects: SubjectResolver;
  readonly sessions: Pick<Sessions, 'assertRecentLogin'>;
  readonly users: Pick<UsersPort, 'stored'>;
  readonly policy: Policy;
  readonly emit: EmitEvent;
  readonly ttlSeconds: number;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** Why it is refused, as the audit log names it. The client learns less. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly reason: string;
  constructor(reason: string, description: string) {
    super(description);
    this.reason = reason;
  }
}

const badActor = () => new Refusal('invalid_actor', 'The actor_token is not valid.');
const mayNot = () => new Refusal('forbidden', 'The actor needs the permission users:impersonate.');
const oldLogin = () =>
  new Refusal('login_too_old', 'The actor must have signed in recently: sign in again.');
/** One answer for every reason: it tells nothing about accounts. */
const badSubject = (reason: string) =>
  new Refusal(reason, 'The subject does not exist, or the actor cannot act as it.');

/** The administrator, and the claims of the token that proves it. */
interface Impersonator {
  readonly principal: Principal;
  readonly claims: AccessClaims;
}

const USER_ID = /^[0-9a-f]{24}$/;

export function createImpersonation(deps: ImpersonationDependencies): Impersonation {
  const { tokens, subjects, sessions, users, policy, emit, ttlSeconds, now } = deps;

  function claimsOf(token: string): AccessClaims {
    try {
      return tokens.verify(token);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) throw badActor();
      throw error;
    }
  }

  /** By the role in MongoDB. A token that impersonates itself makes no other. */
  async function impersonatorOf(token: string): Promise<Impersonator> {
    const claims = claimsOf(token);
    const subject = await subjects.confirm(claims);
    if (subject?.kind !== 'user' || claims.act !== undefined) throw badActor();
    const { user } = subject;
    const permissions = policy.permissionsOf(user.role);
    const session = { sessionId: claims.sid, sessionVersion: claims.ver };
    const principal = new Principal({ ...session, userId: user.id, permissions, account: user });
    return { principal, claims };
  }

  async function assertMayImpersonate({ principal, claims }: Impersonator): Promise<void> {
    if (!principal.permissions.has('users:impersonate')) throw mayNot();
    try {
      await sessions.assertRecentLogin(claims.sid);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) throw oldLogin();
      throw error;
    }
  }

  async function subjectOf(id: string, principal: Principal): Promise<Account> {
    const user = USER_ID.test(id) ? await users.stored(id) : null;
    if (user === null) throw badSubject('no_such_user');
    if (user.id === principal.userId) throw badSubject('oneself');
    if (user.status !== 'active') throw badSubject('banned');
    if (user.role === ADMIN || !policy.mayActOn(principal, user.id, user.role))
      throw badSubject('exceeds_permissions');
    return user;
  }

  /** Not past the expiry of the actor's token: a revocation is remembered until then. */
  function issue(user: Account, { claims }: Impersonator) {
    const { sub, sid, ver } = claims;
    const until = new Date(Math.min(now() + ttlSeconds * 1000, claims.exp * 1000));
    const session = randomBytes(12).toString('hex');
    return { session, ...tokens.issueToActor(user, session, { sub, sid, ver }, until) };
  }

  return {
    async start({ userId, actorToken, reason }, client) {
      let actor: string | undefined;
      try {
        const impersonator = await impersonatorOf(actorToken);
        actor = impersonator.principal.userId;
        await assertMayImpersonate(impersonator);
        const user = await subjectOf(userId, impersonator.principal);
        const { token, tokenId, session, expiresInSeconds } = issue(user, impersonator);
        emit('ImpersonationStarted', { userId, actor, tokenId, session, reason, client });
        return { token, expiresInSeconds };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const subject = USER_ID.test(userId) ? userId : undefined;
        emit('ImpersonationRefused', { userId: subject, actor, reason: error.reason, client });
        throw new OAuthError('invalid_request', error.message);
      }
    },
  };
}
