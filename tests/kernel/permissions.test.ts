import { ConfigError, parseConfig } from '../../src/kernel/config/config';
import {
  type Actor,
  ALL_PERMISSIONS,
  createPolicy,
  PERMISSIONS,
  type Permission,
  SCOPES,
} from '../../src/kernel/permissions';

const rolesOf = (ROLES: string) => parseConfig({ ROLES }).auth.roles;
const policy = createPolicy(
  rolesOf('auditor=audit:read, lead = users:write + roles:assign + users:read,premium='),
);
const actor = (role: string): Actor => ({
  userId: `a ${role}`,
  permissions: policy.permissionsOf(role),
});
const serviceWith = (permissions: Iterable<Permission>): Actor => ({
  userId: 'a service account',
  permissions: new Set(permissions),
  isService: true,
});

describe('ROLES', () => {
  test('adds roles to the built-in ones, and may redefine support', () => {
    expect(policy.roles).toEqual(['user', 'support', 'admin', 'auditor', 'lead', 'premium']);
    expect([...policy.permissionsOf('lead')]).toEqual([
      'users:write',
      'roles:assign',
      'users:read',
    ]);
    expect([...policy.permissionsOf('premium')]).toEqual([]);
    expect([...createPolicy(rolesOf('support=audit:read')).permissionsOf('support')]).toEqual([
      'audit:read',
    ]);
    expect(createPolicy(rolesOf('')).roles).toEqual(['user', 'support', 'admin']);
  });

  test.each([
    ['auditor', 'must be name=permission+permission', '"auditor" is not'],
    ['auditor=audit:read,', 'must be name=permission+permission', '"" is not'],
    ['a=audit:read=users:read', 'must be name=permission+permission', '"a=audit:read=users:read"'],
    ['Auditor=audit:read', 'must name each role in at most 32 of a-z', '"Auditor" is not'],
    ['=audit:read', 'must name each role', '"" is not'],
    [`${'a'.repeat(33)}=`, 'must name each role', 'aaa'],
    ['admin=users:read', 'must not redefine "admin"', 'choose another name'],
    ['user=users:read', 'must not redefine "user"', 'choose another name'],
    ['a=audit:read,a=users:read', 'must define each role once', '"a"'],
    ['a=audit:raed', 'unknown permission "audit:raed"', PERMISSIONS.join(', ')],
    ['a=audit:read+', 'unknown permission ""', PERMISSIONS.join(', ')],
    ['a=audit:read;b=users:read', 'must be name=permission+permission', '"a=audit:read;b'],
    ['a=*', 'unknown permission "*"', PERMISSIONS.join(', ')],
    ['__proto__=users:read', 'must name each role', '"__proto__" is not'],
  ])('%s is refused: the message names the fault and what to change', (value, fault, fix) => {
    try {
      rolesOf(value);
      throw new Error('accepted');
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      expect(error.faults.map(({ env }) => env)).toEqual(['ROLES']);
      expect(error.message).toContain(fault);
      expect(error.message).toContain(fix);
    }
  });

  test.each(['constructor', 'toString', 'hasOwnProperty'])(
    'a stored role %s is unknown, and a defined one is a role',
    (name) => {
      const lower = name.toLowerCase();
      expect([policy.permissionsOf(name).size, policy.roles.includes(name)]).toEqual([0, false]);
      const defined = createPolicy(rolesOf(`${lower}=audit:read`));
      expect([...defined.permissionsOf(lower)]).toEqual(['audit:read']);
    },
  );
});

describe('the policy', () => {
  test('admin has every permission, support three, user none, an unknown role none', () => {
    const sizes = ['admin', 'support', 'user', 'gone'].map(
      (role) => policy.permissionsOf(role).size,
    );
    expect(sizes).toEqual([PERMISSIONS.length, 3, 0, 0]);
    expect([...policy.permissionsOf('support')].sort()).toEqual([
      'sessions:read',
      'users:read',
      'users:send_mail',
    ]);
  });

  test.each([
    ['admin', ['user', 'support', 'admin', 'auditor', 'lead', 'premium', 'gone']],
    ['support', ['user', 'support', 'premium']],
    ['lead', ['user', 'lead', 'premium']],
    ['auditor', ['user', 'auditor', 'premium']],
    ['user', ['user', 'premium']],
    ['gone', ['user', 'premium']],
  ])('%s may act on others with a role of %j only', (role, expected) => {
    const roles = [...policy.roles, 'gone'];
    const allowed = roles.filter((one) => policy.mayActOn(actor(role), 'another', one));
    expect(allowed.sort()).toEqual([...expected].sort());
    // On itself always.
    expect(roles.every((one) => policy.mayActOn(actor(role), `a ${role}`, one))).toBe(true);
  });

  test.each([
    ['admin', ['user', 'support', 'admin', 'auditor', 'lead', 'premium']],
    ['lead', ['user', 'lead', 'premium']],
    ['support', []],
    ['user', []],
    ['gone', []],
  ])('%s may give the roles %j only', (role, expected) => {
    const given = policy.roles.filter((one) => policy.mayAssign(actor(role), one));
    expect([...given].sort()).toEqual([...expected].sort());
  });

  test('no service account acts on administrators or makes one, whatever its scopes', () => {
    const all = serviceWith(ALL_PERMISSIONS);
    expect([policy.mayActOn(all, 'x', 'admin'), policy.mayAssign(all, 'admin')]).toEqual([
      false,
      false,
    ]);
    expect([policy.mayActOn(all, 'x', 'lead'), policy.mayAssign(all, 'lead')]).toEqual([
      true,
      true,
    ]);
    expect(policy.mayActOn(serviceWith(['users:write']), 'x', 'support')).toBe(false);
    expect(policy.mayActOn(serviceWith(['users:write']), 'x', 'user')).toBe(true);
    const forPeople = [
      ...['service_accounts:manage', 'webhooks:manage', 'users:impersonate', 'factors:reset'],
    ];
    expect(SCOPES).toEqual(PERMISSIONS.filter((one) => !forPeople.includes(one)));
  });
});
