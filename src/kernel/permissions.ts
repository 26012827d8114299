/**
 * The permissions. A role has some of them; a service account has some of them as its scopes. An
 * endpoint names the one that it needs. Without permissions an account acts on itself alone.
 */
export const PERMISSIONS = [
  'users:read',
  'users:write',
  'users:read_private',
  'users:ban',
  'users:send_mail',
  'users:import',
  'users:export',
  'users:impersonate',
  'factors:reset',
  'roles:assign',
  'sessions:read',
  'sessions:end',
  'audit:read',
  'events:read',
  'webhooks:manage',
  'service_accounts:manage',
  'tokens:introspect',
  'revocations:read',
] as const;
export type Permission = (typeof PERMISSIONS)[number];
export type PermissionSet = ReadonlySet<Permission>;

export const isPermission = (value: string): value is Permission =>
  (PERMISSIONS as readonly string[]).includes(value);

/** For users, who must have signed in recently. */
const NEVER_SCOPES = [
  'service_accounts:manage',
  'webhooks:manage',
  'users:impersonate',
  'factors:reset',
] as const;
export type Scope = Exclude<Permission, (typeof NEVER_SCOPES)[number]>;

export const isScope = (value: Permission): value is Scope =>
  !(NEVER_SCOPES as readonly Permission[]).includes(value);

/**
 * The permissions that a service account can have. A program that could create programs would
 * outlive the removal of every secret, and no program acts as a person.
 */
export const SCOPES: readonly Scope[] = PERMISSIONS.filter(isScope);

/** A role is a name of the setting ROLES, or built in. Stored documents may have others. */
export type Role = string;
const ROLE_NAME = /^[a-z][a-z0-9_-]{0,31}$/;
export const isRoleName = (value: string): boolean => ROLE_NAME.test(value);
export const ADMIN: Role = 'admin';
export const USER: Role = 'user';
/** Built in, and not to be redefined: the last-administrator rule and registration rest on them. */
export const FIXED_ROLES: readonly Role[] = [ADMIN, USER];

export type RolePermissions = Readonly<Record<Role, readonly Permission[]>>;

const BUILT_IN: RolePermissions = {
  [USER]: [],
  support: ['users:read', 'users:send_mail', 'sessions:read'],
  [ADMIN]: PERMISSIONS,
};

/** The sender of a request or command, as far as permissions go. */
export interface Actor {
  readonly userId: string;
  readonly permissions: PermissionSet;
  /** A service account: its permissions are its scopes. */
  readonly isService?: boolean;
}

/** Decides everything about permissions. */
export interface Policy {
  /** The names of the roles that an account can be given. */
  readonly roles: readonly [Role, ...Role[]];
  /** None for a role that this process does not know. Costs one look into a map. */
  permissionsOf(role: Role): PermissionSet;
  /**
   * Whether `actor` may change, ban, remove or become the account `id`, which has `role`. Itself
   * always; another one only with every permission of its role, so that nobody gets by another
   * account what it lacks. A role that this process does not know may have any permission
   * elsewhere. Service accounts never act on administrators.
   */
  mayActOn(actor: Actor, id: string, role: Role): boolean;
  /** Whether `actor` may give an account this role. */
  mayAssign(actor: Actor, role: Role): boolean;
}

const NONE: PermissionSet = new Set();
export const ALL_PERMISSIONS: PermissionSet = new Set(PERMISSIONS);

export const holdsAll = (held: PermissionSet, needed: Iterable<Permission>): boolean => {
  for (const one of needed) if (!held.has(one)) return false;
  return true;
};

/** `configured`: the setting ROLES. It may redefine `support`. */
export function createPolicy(configured: RolePermissions = {}): Policy {
  const all = Object.entries({ ...BUILT_IN, ...configured });
  const sets = new Map(all.map(([role, some]): [Role, PermissionSet] => [role, new Set(some)]));
  const permissionsOf = (role: Role): PermissionSet => sets.get(role) ?? NONE;
  const covers = ({ permissions, isService }: Actor, role: Role): boolean =>
    !(isService === true && role === ADMIN) &&
    holdsAll(permissions, sets.get(role) ?? ALL_PERMISSIONS);
  return {
    roles: [...sets.keys()] as [Role, ...Role[]],
    permissionsOf,
    mayActOn: (actor, id, role) => actor.userId === id || covers(actor, role),
    mayAssign: (actor, role) => actor.permissions.has('roles:assign') && covers(actor, role),
  };
}
