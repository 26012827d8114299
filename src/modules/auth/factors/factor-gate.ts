import { type MfaPolicy, type MfaRule, mfaRuleOf } from '../../../kernel/config/mfa-policy';
import type { Role } from '../../../kernel/permissions';
import type { EmitEvent } from '../../domain-events';
import { MULTIPLE_FACTORS } from '../sessions/authentication';
import { bindingOf } from '../sessions/open-session';
import type { SignInStep } from '../sign-in/sign-in-step';
import type { Account } from '../users-port';
import type { FactorKind } from './factor-kinds';
import type { MfaTokens } from './mfa-tokens';

/** The answer to a sign-in that gets no session yet. */
export interface FactorDemand {
  /** The `mfa_token`. */
  readonly token: string;
  readonly expiresInSeconds: number;
  /** The kinds with which the account can go on. */
  readonly factors: readonly string[];
  /** Where the account has none and needs one: the kinds that it can enrol with the token. */
  readonly enrollable?: readonly string[];
}

/** Decides whether a step of a sign-in is enough. */
export interface FactorGate {
  /** undefined: the step opens a session. */
  demandOf(account: Account, step: SignInStep): Promise<FactorDemand | undefined>;
}

export interface FactorGateDependencies {
  readonly kinds: readonly FactorKind[];
  readonly policy: MfaPolicy;
  readonly mfaTokens: MfaTokens;
  readonly ttlSeconds: number;
  readonly emit: EmitEvent;
}

/** The kinds that the account has; none without one that counts by itself. */
export async function enrolledKinds(
  kinds: readonly FactorKind[],
  userId: string,
): Promise<readonly FactorKind[]> {
  const has = await Promise.all(kinds.map((kind) => kind.isEnrolled(userId)));
  const enrolled = kinds.filter((_, i) => has[i]);
  return enrolled.some(({ isPrimary }) => isPrimary) ? enrolled : [];
}

/** Kinds that a sign-in can set up. */
const isEnrollable = ({ isPrimary, confirmEnrollment }: FactorKind) =>
  isPrimary && confirmEnrollment !== undefined;
const namesOf = (kinds: readonly FactorKind[]) => kinds.map(({ kind }) => kind);

export function createFactorGate(deps: FactorGateDependencies): FactorGate {
  const { kinds, policy, mfaTokens, ttlSeconds, emit } = deps;
  const ruleOf = (role: Role): MfaRule => mfaRuleOf(policy, role);

  return {
    async demandOf({ id: userId, role, sessionVersion }, { amr, client, knownUntil, isNew }) {
      const rule = ruleOf(role);
      if (rule === 'off' || amr.includes(MULTIPLE_FACTORS)) return undefined;
      // Asked of a new account too: "new" may be what an earlier attempt has created.
      const enrolled = await enrolledKinds(kinds, userId);
      if (enrolled.length === 0 && rule === 'optional') return undefined;
      const enrols = enrolled.length === 0;
      const known = knownUntil === undefined ? {} : { knownUntil };
      const binding = bindingOf(client);
      const signIn = {
        ...{ userId, sessionVersion, amr, isNew: isNew === true, enrols },
        ...{ ...known, ...binding },
      };
      const token = await mfaTokens.issue(signIn, client);
      emit('FactorRequested', { userId, client });
      return {
        token,
        expiresInSeconds: ttlSeconds,
        factors: namesOf(enrolled),
        ...(enrols && { enrollable: namesOf(kinds.filter(isEnrollable)) }),
      };
    },
  };
}
