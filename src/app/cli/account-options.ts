import type { z } from 'zod';
import type { Config } from '../../kernel/config/config';
import { randomToken } from '../../kernel/crypto/random';
import { createPolicy, type Role } from '../../kernel/permissions';
import { isKnownBy, newPasswordOf, PASSWORD_IS_IDENTITY } from '../../modules/auth';
import { emailAddress, objectId } from '../../platform/http/fields';
import { readSecretLine } from './arguments';
import { UsageError } from './run';

export function roleIn(options: ReadonlyMap<string, string>, { auth }: Config): Role | undefined {
  const role = options.get('role');
  const { roles } = createPolicy(auth.roles);
  if (role !== undefined && !roles.includes(role))
    throw new UsageError(`--role must be one of ${roles.join(', ')}.`);
  return role;
}

export function selected(options: ReadonlyMap<string, string>): { email: string } | { id: string } {
  if (options.has('email') === options.has('id'))
    throw new UsageError('Name the account by --email or by --id.');
  return options.has('id')
    ? { id: check(objectId, options.get('id'), '--id') }
    : { email: check(emailAddress, options.get('email'), '--email') };
}

export async function readPassword(
  options: ReadonlyMap<string, string>,
  account: { name: string; email: string },
  config: Config,
): Promise<{ password: string; shown: string }> {
  if (options.has('generate') && options.has('password-stdin'))
    throw new UsageError('Give --generate or --password-stdin, not both.');
  const generated = options.has('generate') ? randomToken(18) : undefined;
  const password = check(
    newPasswordOf(config.auth.passwordHash),
    generated ?? (await readSecretLine('Password: ')),
    'The password',
  );
  if (isKnownBy(password, account))
    throw new UsageError(`The password ${PASSWORD_IS_IDENTITY.message}.`);
  return {
    password,
    shown: generated === undefined ? '' : `Password, shown only now: ${generated}\n`,
  };
}

export function check<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  if (value === undefined) throw new UsageError(`${what} is missing.`);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new UsageError(`${what} ${result.error.issues[0]?.message ?? 'is not valid'}.`);
}
