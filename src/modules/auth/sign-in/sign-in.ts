import { foldEmail } from '../../../kernel/fold';
import type { ClientInfo } from '../../../platform/http/client-info';
import type { EmitEvent } from '../../domain-events';
import type { LoginGuard } from '../login-guard';
import type { Passwords } from '../passwords/passwords';
import { invalidCredentials } from '../problems';
import { deviceKey, type KnownDevices } from '../sessions/known-devices';
import type { Account, Credentials, NewAccount, UsersPort } from '../users-port';
import type { CompleteSignIn, SignInResult } from './complete-sign-in';
import type { ProvenSignIn } from './proven-sign-in';
import {
  createRequiredPassword,
  type RequiredPassword,
  type RequiredPasswordDependencies,
} from './required-password';

interface Registered {
  readonly user: Account;
  readonly result: SignInResult;
}

interface LoginCredentials {
  readonly email: string;
  readonly password: string;
}

export interface SignIn extends RequiredPassword {
  register(
    account: Omit<NewAccount, 'passwordHash' | 'role'> & { password: string },
    client: ClientInfo,
  ): Promise<Registered>;
  /**
   * Throws 401 `invalid_credentials`, after the same work whether or not the account exists, and
   * 429 when the account or the network is locked. Throws 403 `password_change_required` for the
   * right password of an account that must replace it.
   */
  login(credentials: LoginCredentials, client: ClientInfo): Promise<SignInResult>;
}

export interface SignInDependencies extends RequiredPasswordDependencies {
  readonly users: UsersPort;
  readonly passwords: Passwords;
  readonly loginGuard: LoginGuard;
  readonly devices: KnownDevices;
  readonly completeSignIn: CompleteSignIn;
  readonly provenSignIn: ProvenSignIn;
  readonly emit: EmitEvent;
}

/** The account of a right password, and until when the device is known. */
interface Verified {
  readonly found: Credentials;
  readonly knownUntil: Date | undefined;
}

const PASSWORD = ['pwd'];

export function createSignIn(deps: SignInDependencies): SignIn {
  const { users, passwords, loginGuard, devices, completeSignIn, emit } = deps;

  /**
   * The account, if the password is right. Every path sends the database the same queries and
   * hashes once.
   */
  async function verify(
    { email, password }: LoginCredentials,
    client: ClientInfo,
  ): Promise<Verified> {
    await loginGuard.enter(client);
    const found = await users.credentialsByEmail(email);
    const knownUntil = await devices.knownUntil(found ?? undefined, client);
    const passwordHash = found?.passwordHash;
    const usable = found !== null && found.status === 'active';
    const key =
      found !== null && knownUntil !== undefined
        ? ({ by: 'device', account: deviceKey(found.id, client) } as const)
        : ({ by: 'login', account: foldEmail(email) } as const);
    const { isRight, refusal } = await loginGuard.guard(
      { ...key, passwordHash, client },
      async (turn) => (await passwords.verify(password, passwordHash, turn)) && usable,
    );
    if (refusal !== undefined || !isRight || !usable) {
      const reason = refusal?.code ?? (usable ? 'wrong_password' : 'no_usable_account');
      emit('LoginFailed', { userId: found?.id, reason, client });
      throw refusal ?? invalidCredentials();
    }
    return { found, knownUntil };
  }

  /** Rehashes at the configured cost. A failure is ignored: the next login tries again. */
  async function rehash({ id, passwordHash }: Credentials, password: string): Promise<void> {
    if (!passwords.needsRehash(passwordHash, password)) return;
    const renewed = await passwords.hash(password).catch(() => undefined);
    if (renewed !== undefined) await users.rehash(id, passwordHash, renewed).catch(() => undefined);
  }

  return {
    ...createRequiredPassword(deps),

    async register({ id, name, email, password, userMetadata }, client) {
      const passwordHash = await passwords.hashNew(password, '/password');
      const given = id === undefined ? {} : { id };
      const account = { ...given, name, email, passwordHash, role: 'user', userMetadata } as const;
      const user = await users.create(account, { client });
      return { user, result: await completeSignIn(user, { amr: PASSWORD, client, isNew: true }) };
    },

    async login(credentials, client) {
      const { found, knownUntil } = await verify(credentials, client);
      // The token that asks for another password is bound to the hash.
      if (!found.mustChangePassword) await rehash(found, credentials.password);
      return deps.provenSignIn(found, { amr: PASSWORD, client, knownUntil }, invalidCredentials);
    },
  };
}
