import { isDeepStrictEqual } from 'node:util';
import { problems } from '../../kernel/errors';
import { type Actor, ADMIN, type Policy, type Role } from '../../kernel/permissions';
import { isActive } from './bans';
import type { Changes } from './changes';
import type { ChangeOptions, Proof } from './proof';
import { hasEmail, type Snapshot } from './snapshot';

export const lastAdmin = () =>
  problems.conflict('last_admin', 'The last administrator cannot be removed or lose the role.');

export const ownAccount = () =>
  problems.conflict('own_account', 'This is for other accounts, not for your own.');

export const emailNeedsProof = () =>
  problems.forbidden(
    'Your own e-mail address changes only by proof from the new mailbox: use POST /api/auth/email/change.',
    'email_change_needs_proof',
  );

/** Throws 422 for a role that ROLES does not name. An account keeps such a role. */
export function assertKnownRole({ roles }: Policy, role: Role): void {
  if (roles.includes(role)) return;
  const message = `must be one of ${roles.join(', ')}`;
  const params = { allowed: [...roles] };
  throw problems.invalid([{ pointer: '/role', code: 'not_allowed', message, params }]);
}

/** Private members of one's own account are for others. */
export const readsPrivate = ({ userId, permissions }: Actor, id: string): boolean =>
  userId !== id && permissions.has('users:read_private');

/** Of every member of `Changes`: the compiler asks for a new one in `Snapshot` too. */
export const changesNothing = (seen: Snapshot, changes: Changes): boolean =>
  (Object.keys(changes) as (keyof Changes)[]).every(
    (member) =>
      changes[member] === undefined ||
      isDeepStrictEqual(changes[member] ?? undefined, seen[member]),
  );

/** The changes that another address brings with it. */
export const movedEmail = (
  seen: Snapshot,
  email: string,
): { from: string | undefined; changes: Changes } =>
  hasEmail(seen, email)
    ? { from: undefined, changes: {} }
    : { from: seen.email, changes: { emailVerified: false } };

export function throwRefusal(
  seen: Snapshot,
  { role, email }: Pick<Changes, 'role' | 'email'>,
  { ifEmailChanges, ifRoleChanges }: ChangeOptions,
): void {
  if (email !== seen.email && ifEmailChanges !== undefined) throw ifEmailChanges;
  if (role !== seen.role && ifRoleChanges !== undefined) throw ifRoleChanges;
}

export const leavesTheAdmins = ({ role }: Snapshot, changes: Changes) =>
  role === ADMIN && ((changes.role ?? role) !== ADMIN || changes.status === 'banned');

export const holds = ({ email, passwordHash, sessionVersion }: Proof, seen: Snapshot) =>
  isActive(seen) &&
  hasEmail(seen, email) &&
  seen.passwordHash === passwordHash &&
  (sessionVersion ?? seen.sessionVersion) === seen.sessionVersion;
