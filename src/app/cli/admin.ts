import { type Config, loadConfig } from '../../kernel/config/config';
import { ADMIN, type Role, USER } from '../../kernel/permissions';
import { isKnownBy, PASSWORD_IS_IDENTITY } from '../../modules/auth';
import { banEnd, banReason } from '../../modules/users';
import { displayName, emailAddress } from '../../platform/http/fields';
import { createLogger } from '../../platform/telemetry/logger';
import { check, readPassword, roleIn, selected } from './account-options';
import { type Account, type Accounts, withAccounts } from './accounts';
import { type Options, parseArguments } from './arguments';
import { asksForHelp, exitCodesHelp, runCli, UsageError, unknownCommand } from './run';

const HELP = `Usage: npm run admin -- COMMAND [OPTIONS]
In an image without npm: node dist/cli/admin.js COMMAND …

  list [--role ROLE] [--limit N] [--json]
        lists accounts, oldest first; 100 without --limit
  create --email E-MAIL [--name NAME] [PASSWORD]
        creates an administrator
  invite --email E-MAIL [--name NAME] [--role ROLE]
        creates the account (a user without --role) and mails the link to set its password
  promote ACCOUNT
        makes the account an administrator; ends its sessions
  demote ACCOUNT
        makes the account a user; not the last administrator
  set-role ACCOUNT --role ROLE
        gives the account a role; ends its sessions
  set-password ACCOUNT [PASSWORD]
        ends every session, forgets known devices, and lifts the lock of wrong passwords
  unlock ACCOUNT
        removes the locks of passwords, mailed codes and second factors
  reset-factors ACCOUNT
        removes the second factors of an owner who has lost them
  ban ACCOUNT [--until TIME] [--reason TEXT]
        ends every session and refuses logins, until TIME (RFC 3339)
  unban ACCOUNT
        removes the ban
  require-password-change ACCOUNT
        ends every session; the next login asks for a new password

ACCOUNT is --email E-MAIL or --id ID. PASSWORD is --generate (generated and shown once) or
--password-stdin (the first line of standard input); without either, the command prompts for it.
ROLE is admin, support, user or a role of ROLES.

Each command uses the database that the service would use with the same settings, and names it. It
updates the cache of the service (set its REDIS_URL), and is in the audit log as cli:USER. When it
returns, the change is in effect on every worker and host.

${exitCodesHelp()}`;

const ACCOUNT = { email: 'string', id: 'string' } as const;
const PASSWORD = { generate: 'boolean', 'password-stdin': 'boolean' } as const;

interface Command {
  readonly options: Options;
  /** Validates the options and reads the password before anything connects. */
  readonly prepare: (options: ReadonlyMap<string, string>, config: Config) => Promise<Work>;
}
/** Resolves with the output; `where` names the database. */
type Work = (accounts: Accounts, where: string) => Promise<string>;

const commands: Readonly<Record<string, Command>> = {
  list: {
    options: { role: 'string', limit: 'string', json: 'boolean' },
    prepare: async (options, config) => list(options, config),
  },
  create: { options: { email: 'string', name: 'string', ...PASSWORD }, prepare: create },
  invite: { options: { email: 'string', name: 'string', role: 'string' }, prepare: invite },
  promote: onAccount(async (accounts, account) => setRole(accounts, account, ADMIN)),
  demote: onAccount(async (accounts, account) => setRole(accounts, account, USER)),
  'set-role': { options: { ...ACCOUNT, role: 'string' }, prepare: setNamedRole },
  'set-password': { options: { ...ACCOUNT, ...PASSWORD }, prepare: setPassword },
  unlock: onAccount(async (accounts, account) => {
    await accounts.unlock(account);
    return `${account.email} is unlocked`;
  }),
  'reset-factors': onAccount(async (accounts, account) =>
    (await accounts.resetFactors(account))
      ? `${account.email} has no second factor any more`
      : `${account.email} had no second factor`,
  ),
  ban: { options: { ...ACCOUNT, until: 'string', reason: 'string' }, prepare: ban },
  unban: onAccount(async (accounts, account) => {
    await accounts.unban(account);
    return `${account.email} is no longer banned`;
  }),
  'require-password-change': onAccount(async (accounts, account) => {
    await accounts.requirePasswordChange(account);
    return `${account.email} needs a new password at the next login`;
  }),
};

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (asksForHelp(argv)) return void process.stdout.write(HELP);
  const [first = '', ...rest] = argv;
  const name = first === 'create-admin' ? 'create' : first;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined)
    throw new UsageError(`${unknownCommand(name === '' ? undefined : name)}\n\n${HELP}`);
  try {
    const { words, options } = parseArguments(rest, command.options);
    if (words.length > 0)
      throw new UsageError(`${name} does not take ${JSON.stringify(words[0])}.`);
    const config = loadConfig();
    const work = await command.prepare(options, config);
    process.stdout.write(
      await withAccounts(
        config,
        createLogger({ level: 'warn', name: 'admin' }, process.stderr),
        work,
      ),
    );
  } catch (error) {
    if (error instanceof UsageError)
      throw new UsageError(`${error.message}\nUsage: npm run admin -- --help`);
    throw error;
  }
}

/** A command on one account; its output names the database. */
function onAccount(work: (accounts: Accounts, account: Account) => Promise<string>): Command {
  return {
    options: ACCOUNT,
    prepare: async (options) => {
      const by = selected(options);
      return async (accounts, where) =>
        `${await work(accounts, await accounts.find(by))} (${where}).\n`;
    },
  };
}

function list(options: ReadonlyMap<string, string>, config: Config): Work {
  const role = roleIn(options, config);
  const limit = options.get('limit') ?? '100';
  if (!/^[1-9]\d{0,4}$/.test(limit))
    throw new UsageError('--limit must be a whole number from 1 to 99999.');
  return async (accounts, where) => {
    const found = await accounts.list({ role, limit: Number(limit) });
    if (options.has('json')) return `${JSON.stringify(found)}\n`;
    const width = Math.max(...found.map((one) => one.role.length));
    const rows = found.map(
      ({ id, role: has, status, email, name }) =>
        `${id}  ${has.padEnd(width)}  ${status.padEnd(6)}  ${email}  ${name}\n`,
    );
    return `${rows.join('')}${found.length} ${found.length === 1 ? 'account' : 'accounts'} (${where}).\n`;
  };
}

async function create(options: ReadonlyMap<string, string>, config: Config): Promise<Work> {
  const email = check(emailAddress, options.get('email'), '--email');
  const name = check(displayName, options.get('name') ?? email.split('@')[0], '--name');
  const { password, shown } = await readPassword(options, { name, email }, config);
  return async (accounts, where) => {
    await accounts.create({ name, email, password });
    return `Administrator ${email} created (${where}).\n${shown}`;
  };
}

async function invite(options: ReadonlyMap<string, string>, config: Config): Promise<Work> {
  const email = check(emailAddress, options.get('email'), '--email');
  const name = check(displayName, options.get('name') ?? email.split('@')[0], '--name');
  const role = roleIn(options, config) ?? USER;
  return async (accounts, where) => {
    await accounts.invite({ name, email, role });
    return `The invitation of ${email} is queued (${where}).\n`;
  };
}

async function setPassword(options: ReadonlyMap<string, string>, config: Config): Promise<Work> {
  const by = selected(options);
  const { password, shown } = await readPassword(
    options,
    {
      name: '',
      email: 'email' in by ? by.email : '',
    },
    config,
  );
  return async (accounts, where) => {
    const account = await accounts.find(by);
    if (isKnownBy(password, account))
      throw new UsageError(`The password ${PASSWORD_IS_IDENTITY.message}.`);
    await accounts.setPassword(account, password);
    return `The password of ${account.email} is set, and its sessions have ended (${where}).\n${shown}`;
  };
}

async function ban(options: ReadonlyMap<string, string>): Promise<Work> {
  const by = selected(options);
  const until = options.has('until')
    ? new Date(check(banEnd, options.get('until'), '--until'))
    : undefined;
  const reason = options.has('reason')
    ? check(banReason, options.get('reason'), '--reason')
    : undefined;
  return async (accounts, where) => {
    const account = await accounts.find(by);
    await accounts.ban(account, { until, reason });
    const end = until === undefined ? '' : ` until ${until.toISOString()}`;
    return `${account.email} is banned${end} (${where}).\n`;
  };
}

async function setNamedRole(options: ReadonlyMap<string, string>, config: Config): Promise<Work> {
  const role = roleIn(options, config);
  if (role === undefined) throw new UsageError('--role is missing.');
  const by = selected(options);
  return async (accounts, where) => {
    const account = await accounts.find(by);
    const isSo = account.role === role;
    if (!isSo) await accounts.setRole(account, role);
    return `${account.email} has the role ${role} ${isSo ? 'already' : 'now'} (${where}).\n`;
  };
}

async function setRole(accounts: Accounts, account: Account, role: Role): Promise<string> {
  const described = role === ADMIN ? 'an administrator' : 'no administrator';
  if (account.role === role) return `${account.email} is ${described} already`;
  await accounts.setRole(account, role);
  return `${account.email} is ${described} now`;
}

runCli(main);
