import { Problem } from '../errors';
import type { CachedUser } from '../users/cached';
import { foldEmail } from '../users/model';
import type { Credentials, UserRepository } from '../users/repository';
import type { UserService } from '../users/service';
import type { Audit } from './audit';
import type { ClientInfo } from './client';
import type { KnownDevices } from './known-devices';
import type { MailFlows } from './mail-flows';
import type { Passwords } from './passwords';
import { invalidCredentials, wrongPassword } from './problems';
import type { CurrentSession, Sessions, SessionView, TokenPair } from './sessions';
import type { Throttle } from './throttle';

export interface SignedIn {
  readonly user: CachedUser;
  readonly tokens: TokenPair;
}

export type LogoutScope = 'local' | 'others' | 'global';

export interface AuthService {
  register(account: { name: string; email: string; password: string }, client: ClientInfo): Promise<SignedIn>;
  /** Throws 401 `invalid_credentials`, after the same work, whether or not the account exists; 429 when throttled or locked. */
  login(credentials: { email: string; password: string }, client: ClientInfo): Promise<SignedIn>;
  refresh(refreshToken: string, client: ClientInfo): Promise<TokenPair>;
  logout(current: CurrentSession, scope: LogoutScope, client: ClientInfo): Promise<void>;
  sessions(current: CurrentSession): Promise<SessionView[]>;
  /** Idempotent: a session that is not there has ended. */
  endSession(current: CurrentSession, sid: string, client: ClientInfo): Promise<void>;
  /** The account whose password this is. Throws 422 `wrong_password`, 429. */
  confirmPassword(current: CurrentSession, password: string, client: ClientInfo): Promise<Credentials>;
  changePassword(current: CurrentSession, passwords: { current: string; next: string }, client: ClientInfo): Promise<void>;
}

export interface AuthServiceDependencies {
  readonly users: UserService;
  readonly repository: UserRepository;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly throttle: Throttle;
  readonly devices: KnownDevices;
  readonly mails: MailFlows;
  readonly audit: Audit;
}

/** A right password: whose, and until when the device that sent it is known. */
interface Checked {
  readonly found: Credentials;
  readonly knownUntil: Date | undefined;
}

export function createAuthService(deps: AuthServiceDependencies): AuthService {
  const { users, repository, passwords, sessions, throttle, devices, mails, audit } = deps;

  async function signIn(user: CachedUser, client: ClientInfo, knownUntil?: Date): Promise<SignedIn> {
    const [tokens] = await Promise.all([sessions.open(user, client), devices.remember(user.id, client, knownUntil)]);
    return { user, tokens };
  }

  /** The account, if the password is right. Every path asks the database the same questions and hashes once. */
  async function check({ email, password }: { email: string; password: string }, client: ClientInfo): Promise<Checked> {
    await throttle.enter(client);
    const found = await repository.credentialsByEmail(email);
    const knownUntil = await devices.knownUntil(found?.id, client);
    const attempt = await throttle.attempt(foldEmail(email), client, knownUntil !== undefined);
    const right = await passwords.verify(password, found?.passwordHash).catch(async (error: unknown) => {
      // Not looked at (503): not a guess.
      await attempt.forgive();
      throw error;
    });
    const usable = found !== null && found.status === 'active';
    if (attempt.refusal !== undefined || !right || !usable) {
      const reason = attempt.refusal?.code ?? (usable ? 'wrong_password' : 'no_usable_account');
      audit.record({ type: 'login', result: 'failure', reason, subject: found?.id, client });
      throw attempt.refusal ?? invalidCredentials();
    }
    await attempt.forgive();
    return { found, knownUntil };
  }

  /**
   * The account as it was when its password was found right: a session opened on it is of that version, and so ended
   * already if the password was replaced while the old one was being checked.
   */
  async function accountOf({ id, role, sessionVersion }: Credentials): Promise<CachedUser> {
    try {
      return { ...(await users.get(id)), role, sessionVersion };
    } catch (error) {
      if (error instanceof Problem && error.status === 404) throw invalidCredentials();
      throw error;
    }
  }

  async function confirmPassword({ userId }: CurrentSession, password: string, client: ClientInfo): Promise<Credentials> {
    await throttle.enter(client);
    const found = await repository.credentialsById(userId);
    // A stolen access token must not become a way around the login's limits.
    const attempt = await throttle.attempt(`id:${userId}`, client, false);
    const right = await passwords.verify(password, found?.passwordHash);
    if (attempt.refusal !== undefined || !right || found === null) throw attempt.refusal ?? wrongPassword();
    await attempt.forgive();
    return found;
  }

  return {
    async register({ name, email, password }, client) {
      const passwordHash = await passwords.hash(password);
      const signedIn = await signIn(await users.create({ name, email, passwordHash, role: 'user' }), client);
      const { id } = signedIn.user;
      audit.record({ type: 'registered', result: 'success', actor: id, subject: id, client });
      mails.welcome(id, email);
      return signedIn;
    },

    async login(credentials, client) {
      const { found, knownUntil } = await check(credentials, client);
      if (passwords.needsRehash(found.passwordHash)) {
        await repository.rehash(found.id, found.passwordHash, await passwords.hash(credentials.password));
      }
      const signedIn = await signIn(await accountOf(found), client, knownUntil);
      audit.record({ type: 'login', result: 'success', actor: found.id, subject: found.id, client });
      return signedIn;
    },

    refresh: (refreshToken, client) => sessions.refresh(refreshToken, client),

    async logout(current, scope, client) {
      if (scope === 'local') await sessions.end(current.userId, [current.sid]);
      else if (scope === 'others') await sessions.endOthers(current);
      else await sessions.endAll(current.userId);
      audit.record({
        type: 'logout',
        result: 'success',
        reason: scope,
        actor: current.userId,
        subject: current.userId,
        session: current.sid,
        client,
      });
    },

    sessions: (current) => sessions.list(current),

    async endSession({ userId }, sid, client) {
      await sessions.end(userId, [sid]);
      audit.record({ type: 'session_ended', result: 'success', actor: userId, subject: userId, session: sid, client });
    },

    confirmPassword,

    async changePassword(current, { current: offered, next }, client) {
      const { userId, sid, ver } = current;
      const event = { type: 'password_changed', actor: userId, subject: userId, session: sid, client } as const;
      try {
        const { passwordHash: from } = await confirmPassword(current, offered, client);
        // Compared again by the write: a reset in between must not be undone, nor a session that it ended be kept.
        if (!(await users.changePassword(userId, from, await passwords.hash(next), { sid, ver }))) throw wrongPassword();
      } catch (error) {
        if (error instanceof Problem) audit.record({ ...event, result: 'failure', reason: error.code });
        throw error;
      }
      await Promise.all([sessions.forget(userId, sid), mails.forget(userId)]);
      audit.record({ ...event, result: 'success' });
      mails.passwordChanged(userId);
    },
  };
}
