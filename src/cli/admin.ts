import { randomBytes } from 'node:crypto';
import { newPassword } from '../auth/passwords';
import { ConfigError, loadConfig } from '../config';
import { createLogger } from '../observability/logger';
import { createAdmin, createIndexes } from '../prepare';
import { createUserModel } from '../users/model';
import { createUserRepository } from '../users/repository';
import { emailSchema, nameSchema } from '../users/schemas';
import { parseArguments, readSecretLine } from './arguments';
import { setBanned } from './ban';
import { withDatabase } from './database';

const USAGE = `Usage: npm run admin -- create --email E-MAIL [--name NAME] [--generate | --password-stdin]
       npm run admin -- ban --email E-MAIL
       npm run admin -- unban --email E-MAIL

create  makes an administrator in the database of MONGODB_URI, or in the embedded one.
        Without --generate the password is asked for, or read as the first line of standard input.
ban     ends every session of an account and refuses its logins; when it has returned no token of it is accepted.
`;

class UsageError extends Error {}

async function main(): Promise<void> {
  const { words, options } = parseArguments(process.argv.slice(2));
  if (words[0] === 'create-admin') words[0] = 'create';
  const [command] = words;
  const known = command === 'create' || command === 'ban' || command === 'unban';
  if (words.length !== 1 || !known || options.has('help')) throw new UsageError(USAGE);
  const email = check(emailSchema.safeParse(options.get('email')), '--email');
  if (command !== 'create') {
    if (!(await setBanned(email, command === 'ban'))) throw new UsageError(`There is no account with the e-mail ${email}.\n`);
    process.stdout.write(`${email} is ${command === 'ban' ? 'banned' : 'no longer banned'}.\n`);
    return;
  }
  const name = check(nameSchema.safeParse(options.get('name') ?? email.split('@')[0]), '--name');
  const generated = options.has('generate') ? randomBytes(18).toString('base64url') : undefined;
  const password = check(newPassword.safeParse(generated ?? (await readSecretLine('Password: '))), 'the password');

  const config = loadConfig();
  const log = createLogger({ level: 'warn', name: 'admin' });
  await withDatabase(config, log, async (database) => {
    // On a new database nothing else would keep two accounts from having one e-mail.
    await createIndexes(database, log);
    const repository = createUserRepository(createUserModel(database.connection), { timeoutMs: config.database.operationTimeoutMs });
    if (!(await createAdmin(repository, config, { name, email, password })))
      throw new UsageError(`An account with the e-mail ${email} exists already.\n`);
  });
  process.stdout.write(`Administrator ${email} created.\n${generated === undefined ? '' : `Password, shown only now: ${generated}\n`}`);
}

function check<T>(result: { success: true; data: T } | { success: false; error: { issues: { message: string }[] } }, what: string): T {
  if (result.success) return result.data;
  throw new UsageError(`${what}: ${result.error.issues[0]?.message ?? 'is not valid'}\n\n${USAGE}`);
}

main().catch((error: unknown) => {
  const expected = error instanceof UsageError || error instanceof ConfigError;
  process.stderr.write(expected ? `${error.message}\n` : `Not done: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = expected ? 64 : 1;
});
