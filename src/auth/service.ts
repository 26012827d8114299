import { randomBytes } from 'node:crypto';
import { problems } from '../errors';
import type { CachedUser } from '../users/cached';
import type { UserRepository } from '../users/repository';
import type { UserService } from '../users/service';
import type { Passwords } from './passwords';
import type { Tokens } from './tokens';

export interface SignedIn {
  readonly user: CachedUser;
  readonly accessToken: string;
  readonly expiresInSeconds: number;
  readonly refreshToken: string;
}

export interface AuthService {
  register(account: { name: string; email: string; password: string }): Promise<SignedIn>;
  /** Throws 401 `invalid_credentials`, after the same work, whether or not the account exists. */
  login(credentials: { email: string; password: string }): Promise<SignedIn>;
  changePassword(userId: string, passwords: { current: string; next: string }): Promise<void>;
}

export interface AuthServiceDependencies {
  readonly users: UserService;
  readonly repository: UserRepository;
  readonly passwords: Passwords;
  readonly tokens: Tokens;
}

export const invalidCredentials = () => problems.unauthorized('invalid_credentials', 'The e-mail address or the password is wrong.');

export function createAuthService({ users, repository, passwords, tokens }: AuthServiceDependencies): AuthService {
  function signIn(user: CachedUser): SignedIn {
    const sid = randomBytes(12).toString('hex');
    const { token, expiresInSeconds } = tokens.issue({ id: user.id, role: user.role, sessionVersion: user.sessionVersion }, sid);
    return { user, accessToken: token, expiresInSeconds, refreshToken: randomBytes(32).toString('base64url') };
  }

  return {
    async register({ name, email, password }) {
      const passwordHash = await passwords.hash(password);
      return signIn(await users.create({ name, email, passwordHash, role: 'user' }));
    },
    async login({ email, password }) {
      const found = await repository.credentialsByEmail(email);
      const right = await passwords.verify(password, found?.passwordHash);
      if (found === null || !right || found.status !== 'active') throw invalidCredentials();
      if (passwords.needsRehash(found.passwordHash)) await repository.rehash(found.id, found.passwordHash, await passwords.hash(password));
      return signIn(await users.get(found.id));
    },
    async changePassword(userId, { current, next }) {
      const found = await repository.credentialsById(userId);
      if (!(await passwords.verify(current, found?.passwordHash))) throw wrongPassword();
      await users.setPassword(userId, await passwords.hash(next));
    },
  };
}

const wrongPassword = () =>
  problems.invalid([{ pointer: '/current_password', code: 'wrong_password', message: 'is not the current password' }]);
