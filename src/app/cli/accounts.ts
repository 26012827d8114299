import type { Config } from '../../kernel/config/config';
import { Problem } from '../../kernel/errors';
import { ADMIN, ALL_PERMISSIONS, type Role } from '../../kernel/permissions';
import { NO_PASSWORD } from '../../modules/auth';
import type { UserSummary } from '../../modules/users';
import type { Logger } from '../../platform/telemetry/logger';
import { commandCause } from './audit';
import { foreignCaches } from './cache';
import { type CommandModules, withModules } from './modules';
import { UsageError } from './run';

export type Account = UserSummary;

/** Accounts for commands. They use the same services as the workers, cache included. */
export interface Accounts {
  /** The oldest first. */
  list(options: { role?: Role | undefined; limit: number }): Promise<Account[]>;
  /** Throws UsageError when there is none. */
  find(by: { email: string } | { id: string }): Promise<Account>;
  create(account: { name: string; email: string; password: string }): Promise<Account>;
  /**
   * Mails the link to set the first password; opens the account where there is none. Throws
   * UsageError where no mail can be sent, or the account has a password.
   */
  invite(account: { name: string; email: string; role: Role }): Promise<void>;
  setRole(account: Account, role: Role): Promise<void>;
  ban(
    account: Account,
    ban: { until?: Date | undefined; reason?: string | undefined },
  ): Promise<void>;
  unban(account: Account): Promise<void>;
  /** The next login asks for a new password; every session ends now. */
  requirePasswordChange(account: Account): Promise<void>;
  setPassword(account: Account, password: string): Promise<void>;
  /** Clears the failed logins of the account, from all networks and devices. */
  unlock(account: Account): Promise<void>;
  /** Removes the second factors. Resolves with whether there were any. */
  resetFactors(account: Account): Promise<boolean>;
}

/** Runs `work` on the accounts of the service's database; `where` describes the database. */
export function withAccounts<T>(
  config: Config,
  log: Logger,
  work: (accounts: Accounts, where: string) => Promise<T>,
): Promise<T> {
  return withModules(config, log, (modules) =>
    work(createAccounts(config, modules), modules.where),
  );
}

function createAccounts(config: Config, modules: CommandModules): Accounts {
  const { users, auth } = modules;
  const cause = commandCause();
  const actor = { userId: cause.actor, permissions: ALL_PERMISSIONS, client: cause.client };
  return {
    list: users.administration.list,
    async find(by) {
      const found = await users.administration.find(by);
      if (found !== null) return found;
      const named = 'id' in by ? `the id ${by.id}` : `the e-mail ${by.email}`;
      throw new UsageError(`No account has ${named}.`);
    },
    async create({ name, email, password }) {
      const passwordHash = await auth.hashPassword(password);
      const user = { name, email, passwordHash, role: ADMIN };
      const { id } = await users.service.create(user, cause).catch((error: unknown) => {
        if (error instanceof Problem && error.code === 'email_taken')
          throw new UsageError(`An account with the e-mail ${email} exists already.`);
        throw error;
      });
      return { id, name, email, role: ADMIN, status: 'active' };
    },
    async invite({ name, email, role }) {
      try {
        auth.invitations.assertMailConfigured();
        const known = await users.administration.find({ email });
        const user = { name, email, role, passwordHash: NO_PASSWORD };
        const { id } = known ?? (await users.service.create(user, cause));
        const account = await users.accounts.credentialsById(id);
        if (account !== null) await auth.invitations.invite(account, cause);
      } catch (error) {
        if (error instanceof Problem && error.status < 500)
          throw new UsageError(error.detail ?? error.title);
        throw error;
      }
    },
    async setRole({ id }, role) {
      await users.service.change(actor, id, { role });
    },
    async ban({ id }, ban) {
      await users.service.ban(actor, id, ban).catch((error: unknown) => {
        if (error instanceof Problem && error.code === 'validation_failed')
          throw new UsageError('--until must be in the future.');
        throw error;
      });
    },
    async unban({ id }) {
      await users.service.unban(actor, id);
    },
    async requirePasswordChange({ id }) {
      await users.service.requirePasswordChange(actor, id, { endSessions: true });
    },
    async setPassword(account, password) {
      if (!(await auth.administration.setPassword(account, password, cause)))
        throw new UsageError(`The e-mail of the account is no longer ${account.email}.`);
    },
    resetFactors: async ({ id }) => (await auth.administration.resetFactors(id, cause)) > 0,
    async unlock(account) {
      await assertCountersReachable(config, modules);
      await auth.administration.unlock(account, cause);
    },
  };
}

/** Throws when the counters of failed logins, which this command must reset, are out of reach. */
async function assertCountersReachable(
  config: Config,
  { database, countersInUse }: CommandModules,
): Promise<void> {
  const elsewhere = await foreignCaches(config, database.connection);
  if (elsewhere.length > 0)
    throw new UsageError(
      `Services on this database count failed logins in ${elsewhere.join(', ')}: give this command their REDIS_URL and CACHE_KEY_PREFIX.`,
    );
  if (!countersInUse)
    throw new Error('Redis is unreachable (REDIS_URL); it holds the counts of failed logins');
}
