import { trusted } from 'mongoose';
import type { Role } from '../../kernel/permissions';
import type { Logger } from '../../platform/telemetry/logger';
import type { UserModel } from './model';

/** Past this many, the count is a lower bound. */
const COUNT_MAX = 1000;
const SHOWN_MAX = 10;

/** Read from an index alone, which skips the accounts of the known roles. */
export const unknownRolesQuery = (known: readonly Role[]) =>
  ({
    filter: { role: trusted({ $nin: known }) },
    options: { projection: { _id: 0, role: 1 }, hint: 'by_role_created', limit: COUNT_MAX + 1 },
  }) as const;

/**
 * A role that has left the setting ROLES, or that only other hosts know, gives its accounts no
 * permission here. That is safe, and hardly meant: so it is logged. It never stops the start.
 */
export async function warnOfUnknownRoles(
  users: UserModel,
  known: readonly Role[],
  log: Logger,
  { timeoutMs }: { timeoutMs: number },
): Promise<void> {
  const { filter, options } = unknownRolesQuery(known);
  try {
    const found = await users.collection
      .find<{ role: Role }>(filter, { ...options, maxTimeMS: timeoutMs })
      .toArray();
    if (found.length === 0) return;
    const roles = [...new Set(found.map(({ role }) => role))].slice(0, SHOWN_MAX);
    const accounts = found.length > COUNT_MAX ? `more than ${COUNT_MAX}` : found.length;
    log.warn({ roles, accounts }, 'accounts have roles that ROLES does not name');
  } catch (err) {
    log.warn({ err }, 'stored roles not checked');
  }
}
