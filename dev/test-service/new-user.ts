import { z } from 'zod';
import type { Service } from '../../src/app/service';
import type { loadConfig } from '../../src/kernel/config/config';
import { closest } from '../../src/kernel/config/names';
import { Problem } from '../../src/kernel/errors';
import { createPolicy } from '../../src/kernel/permissions';
import {
  type CompromisedList,
  createHashAlgorithm,
  hashSettings,
  newPasswordOf,
  refuseKnownPassword,
  refusingCompromised,
} from '../../src/modules/auth';
import { openUserRepository } from '../../src/modules/users';
import { displayName, emailAddress } from '../../src/platform/http/fields';
import { parseBody } from '../../src/platform/http/validation';
import type { MovableClock } from './clock';
import type { TestUser } from './messages';

/** The service's own rules: a test has no users that the service could not have. */
function schemaOf({ auth }: ReturnType<typeof loadConfig>, list: CompromisedList | undefined) {
  const { roles } = createPolicy(auth.roles);
  return z
    .strictObject({
      name: displayName,
      email: emailAddress,
      password: refusingCompromised(newPasswordOf(auth.passwordHash), list),
      role: z.string().refine((role) => roles.includes(role), {
        error: `must be one of ${roles.join(', ')}`,
      }),
      email_verified: z.boolean(),
    })
    .superRefine(refuseKnownPassword);
}

function parse(schema: ReturnType<typeof schemaOf>, given: unknown): TestUser {
  try {
    return parseBody(schema, given);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const known = Object.keys(schema.shape);
    const faults = (error.errors ?? []).map(({ pointer, message, code }) => {
      const name = pointer.slice(1);
      const meant = code === 'unknown_field' ? closest(name, known) : undefined;
      return `${name} ${message}${meant === undefined ? '' : `, did you mean ${meant}?`}`;
    });
    throw new Error(`createUser: ${faults.join('; ')}`);
  }
}

/** Straight into the database: what a test needs first is not what it tests. */
export function createUserWriter(
  { database }: Service,
  config: ReturnType<typeof loadConfig>,
  clock: MovableClock,
  list: CompromisedList | undefined,
) {
  const repository = openUserRepository(database.connection, {
    timeoutMs: config.database.operationTimeoutMs,
  });
  const schema = schemaOf(config, list);
  const passwords = createHashAlgorithm(hashSettings(config));
  return async (given: unknown) => {
    const { password, email_verified: emailVerified, ...account } = parse(schema, given);
    const id = repository.newId();
    const passwordHash = await passwords.hash(password);
    const user = { id, ...account, passwordHash, emailVerified };
    await repository.insert(user, new Date(clock.now()));
    return id;
  };
}
