import { foldEmail } from '../../kernel/fold';
import type { Counters } from '../../platform/counters/counters';
import type { Cause, EmitEvent } from '../domain-events';
import type { FactorKind } from './factors/factor-kinds';
import type { OwnFactors } from './factors/own-factors';
import { liftLocks } from './login-locks';
import type { Passwords } from './passwords/passwords';
import type { MailFlows } from './recovery/mail-flows';
import { PURPOSES } from './recovery/one-time-tokens';
import type { KnownDevices } from './sessions/known-devices';
import type { Sessions } from './sessions/sessions';
import type { UsersPort } from './users-port';

interface AdministeredAccount {
  readonly id: string;
  readonly email: string;
}

/** Operations of administrators on the credentials of an account. */
export interface AuthAdministration {
  /**
   * Ends every session, forgets the known devices and revokes the mailed tokens. Wrong passwords so
   * far no longer count; wrong codes do, until `unlock`. False, and nothing done: the account has
   * another address now.
   */
  setPassword(account: AdministeredAccount, password: string, cause: Cause): Promise<boolean>;
  /** Failed logins no longer count, from wherever they came. */
  unlock(account: AdministeredAccount, cause: Cause): Promise<void>;
  /** Removes the second factors of an owner who has lost them. Resolves with their number. */
  resetFactors(userId: string, cause: Cause): Promise<number>;
}

export interface AuthAdministrationDependencies {
  readonly users: UsersPort;
  readonly passwords: Passwords;
  readonly sessions: Sessions;
  readonly devices: KnownDevices;
  readonly mails: MailFlows;
  readonly counters: Counters;
  readonly kinds: readonly FactorKind[];
  readonly factors: Pick<OwnFactors, 'reset'>;
  readonly emit: EmitEvent;
}

export function createAuthAdministration(deps: AuthAdministrationDependencies): AuthAdministration {
  const { users, passwords, sessions, devices, mails, counters, emit } = deps;
  return {
    async setPassword({ id, email }, password, cause) {
      if (!(await users.setPassword(id, await passwords.hashNew(password, '/password'), email)))
        return false;
      emit('PasswordChanged', { userId: id, how: 'administration', ...cause });
      await Promise.all([sessions.forget(id), devices.forget(id), mails.revokeLinks(id, PURPOSES)]);
      return true;
    },
    resetFactors: (userId, cause) => deps.factors.reset(userId, cause),
    async unlock({ id, email }, cause) {
      const found = await users.credentialsById(id);
      if (found !== null) {
        const { passwordHash } = found;
        const keys = await devices.keysOf(id);
        await liftLocks(counters, {
          ...{ id, passwordHash, factorKinds: deps.kinds.map(({ kind }) => kind) },
          email: foldEmail(email),
          devices: keys,
        });
      }
      emit('AccountUnlocked', { userId: id, ...cause });
    },
  };
}
