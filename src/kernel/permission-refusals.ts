import { problems } from './errors';
import { type Actor, ADMIN, type Policy, type Role } from './permissions';

/** Throws 403 unless the actor may change the account `id`, which has this role. */
export function assertMayActOn(policy: Policy, actor: Actor, id: string, role: Role): void {
  if (policy.mayActOn(actor, id, role)) return;
  refuseAdministrators(actor, role);
  throw problems.forbidden(
    `The role ${role} of the account has permissions that you lack.`,
    'exceeds_permissions',
  );
}

/** Throws 403 unless the actor may give an account this role. */
export function assertMayAssign(policy: Policy, actor: Actor, role: Role): void {
  if (policy.mayAssign(actor, role)) return;
  refuseAdministrators(actor, role);
  throw problems.forbidden(
    `To give the role ${role} you need the permission roles:assign and every permission of that role.`,
    'role_change_forbidden',
  );
}

/**
 * A scope over users is none over administrators: a program that could make or take over one would
 * have every scope.
 */
function refuseAdministrators(actor: Actor, role: Role): void {
  if (actor.isService !== true || role !== ADMIN) return;
  throw problems.forbidden(
    'A service account has no power over administrators.',
    'administrators_only',
  );
}
