import type { z } from 'zod';
import {
  FIXED_ROLES,
  isPermission,
  isRoleName,
  PERMISSIONS,
  type Permission,
  type RolePermissions,
} from '../permissions';
import { checked } from './setting';

const FORM = 'name=permission+permission';

interface Definition {
  readonly name: string;
  readonly permissions: readonly string[];
}

function definitionsIn(value: string): (Definition | string)[] {
  if (value === '') return [];
  return value.split(',').map((one) => {
    const [name = '', listed, ...rest] = one.split('=').map((part) => part.trim());
    if (listed === undefined || rest.length > 0) return one.trim();
    const permissions = listed === '' ? [] : listed.split('+').map((part) => part.trim());
    return { name, permissions };
  });
}

function faultOfRoles(value: string): string | undefined {
  const seen = new Set<string>();
  for (const one of definitionsIn(value)) {
    if (typeof one === 'string')
      return `must be ${FORM}, several of them separated by commas: ${JSON.stringify(one)} is not`;
    const fault = faultOfRole(one, seen.has(one.name));
    if (fault !== undefined) return fault;
    seen.add(one.name);
  }
  return undefined;
}

function faultOfRole({ name, permissions }: Definition, isRepeated: boolean): string | undefined {
  const shown = JSON.stringify(name);
  if (!isRoleName(name))
    return `must name each role in at most 32 of a-z, 0-9, - and _, beginning with a letter: ${shown} is not`;
  if (FIXED_ROLES.includes(name))
    return `must not redefine ${shown}: it is built in; choose another name`;
  if (isRepeated) return `must define each role once: remove one of the definitions of ${shown}`;
  const unknown = permissions.find((one) => !isPermission(one));
  if (unknown !== undefined)
    return `gives the role ${shown} the unknown permission ${JSON.stringify(unknown)}; the permissions are ${PERMISSIONS.join(', ')}`;
  return undefined;
}

/** `auditor=audit:read+users:read,premium=`: roles with their permissions; none after the sign. */
export const roleMap = (): z.ZodType<RolePermissions> =>
  checked(faultOfRoles).transform((value) =>
    Object.fromEntries(
      (definitionsIn(value) as Definition[]).map(({ name, permissions }) => [
        name,
        permissions as readonly Permission[],
      ]),
    ),
  );
