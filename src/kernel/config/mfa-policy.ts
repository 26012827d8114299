import type { z } from 'zod';
import { isRoleName, type Role } from '../permissions';
import { checked } from './setting';

export const MFA_RULES = ['off', 'optional', 'required'] as const;
export type MfaRule = (typeof MFA_RULES)[number];

/** Whether accounts need a second factor: of every role, and of some roles. */
export interface MfaPolicy {
  readonly general: MfaRule;
  readonly roles: Readonly<Record<Role, MfaRule>>;
}

const FORM = 'must be a rule (off, optional or required), then role=rule for roles that differ';
const isRule = (value: string | undefined): value is MfaRule =>
  (MFA_RULES as readonly (string | undefined)[]).includes(value);

const partsOf = (value: string) =>
  value.split(',').map((part) => part.split('=').map((one) => one.trim()));

function faultOf(value: string): string | undefined {
  const [[general, ...more] = [], ...rest] = partsOf(value);
  if (!isRule(general) || more.length > 0) return FORM;
  const seen = new Set<string>();
  for (const [role = '', rule, ...others] of rest) {
    if (!isRoleName(role) || !isRule(rule) || others.length > 0) return FORM;
    if (seen.has(role)) return `must name each role once: remove one of the rules of ${role}`;
    seen.add(role);
  }
  return undefined;
}

/** `optional,admin=required`. */
export const mfaPolicy = (): z.ZodType<MfaPolicy> =>
  checked(faultOf).transform((value) => {
    const [[general] = [], ...rest] = partsOf(value);
    return { general: general as MfaRule, roles: Object.fromEntries(rest) };
  });

export const mfaRuleOf = ({ general, roles }: MfaPolicy, role: Role): MfaRule =>
  Object.hasOwn(roles, role) ? (roles[role] ?? general) : general;
