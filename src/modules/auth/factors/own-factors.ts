import { type MfaPolicy, type MfaRule, mfaRuleOf } from '../../../kernel/config/mfa-policy';
import type { Role } from '../../../kernel/permissions';
import type { ClientInfo } from '../../../platform/http/client-info';
import { type Locks, lockExpired } from '../../../platform/mongo/locks';
import type { Cause } from '../../domain-events';
import { factorNotFound, factorRequired, invalidToken, mfaDisabled, noFactor } from '../problems';
import type { CurrentSession } from '../sessions/end-sessions';
import type { Sessions } from '../sessions/sessions';
import type { DeliveredPair } from '../sessions/token-pair';
import { signInWaysLock } from '../sign-in/sign-in-ways-lock';
import type { Account, UsersPort } from '../users-port';
import type { FactorChanges } from './factor-changes';
import { enrolledKinds } from './factor-gate';
import type { EnrolledFactor, FactorKind, FactorProof } from './factor-kinds';
import type { RecoveryCodes } from './recovery-codes';
import type { Totp, TotpEnrollment } from './totp';
import type { VerifyFactor } from './verify-factor';

interface Confirmed {
  readonly tokens: DeliveredPair;
  /** Of a first factor. */
  readonly recoveryCodes: readonly string[] | undefined;
}

/** Operations of users on their own factors, and of administrators on those of others. */
export interface OwnFactors {
  list(userId: string): Promise<readonly EnrolledFactor[]>;
  ruleOf(role: Role): MfaRule;
  /**
   * Throws 401 unless the login was recent and, where the account has a factor, with it. Every
   * change of factors needs this.
   */
  assertMayChange(current: CurrentSession, role: Role): Promise<void>;
  /** Throws 403 `mfa_disabled`. */
  assertEnabled(role: Role): void;
  enrolTotp(account: Account, name: string): Promise<TotpEnrollment>;
  /** The session has the new factor, as of now. */
  confirmTotp(current: CurrentSession, code: string, client: ClientInfo): Promise<Confirmed>;
  /** Throws 404 `factor_not_found`, 409 `factor_required` for the last one, and 503 `busy`. */
  remove(current: CurrentSession, role: Role, id: string, client: ClientInfo): Promise<void>;
  replaceCodes(current: CurrentSession, client: ClientInfo): Promise<readonly string[]>;
  /**
   * For an owner who has lost them, or never had them. Resolves with their number, and is
   * idempotent. `before`: as of `FactorKind.removeAll`.
   */
  reset(userId: string, cause: Cause, before?: number): Promise<number>;
}

export interface OwnFactorsDependencies {
  readonly kinds: readonly FactorKind[];
  readonly totp: Totp;
  readonly recoveryCodes: RecoveryCodes;
  readonly changes: FactorChanges;
  readonly verifier: VerifyFactor;
  readonly policy: MfaPolicy;
  readonly locks: Locks;
  readonly users: Pick<UsersPort, 'identity'>;
  readonly sessions: Pick<Sessions, 'assertRecentLogin'>;
}

export function createOwnFactors(deps: OwnFactorsDependencies): OwnFactors {
  const { kinds, totp, recoveryCodes, changes, policy, locks, users, sessions } = deps;
  const ruleOf = (role: Role) => mfaRuleOf(policy, role);
  const primary = kinds.filter(({ isPrimary }) => isPrimary);

  async function list(userId: string): Promise<EnrolledFactor[]> {
    return (await Promise.all(kinds.map((kind) => kind.list(userId)))).flat();
  }

  async function assertNotLast(userId: string, role: Role): Promise<void> {
    if (ruleOf(role) !== 'required') return;
    const left = await Promise.all(primary.map((kind) => kind.list(userId)));
    if (left.flat().length <= 1) throw factorRequired();
  }

  function removeIn(
    kind: FactorKind,
    { userId, sid: session }: CurrentSession,
    role: Role,
    id: string,
    client: ClientInfo,
  ): Promise<boolean> {
    return locks.withLock(signInWaysLock(userId), async (until) => {
      await assertNotLast(userId, role);
      await changes.changing({ userId, session });
      if (await kind.remove(userId, id, until)) {
        changes.announceRemoval(kind.kind, { userId, session, actor: userId, client });
        return true;
      }
      if ((await kind.list(userId)).some((one) => one.id === id)) throw lockExpired();
      return false;
    });
  }

  return {
    list,
    ruleOf,

    async assertMayChange({ userId, sid }, role) {
      const has = (await enrolledKinds(kinds, userId)).length > 0;
      await sessions.assertRecentLogin(sid, has && ruleOf(role) !== 'off');
    },
    assertEnabled(role) {
      if (ruleOf(role) === 'off') throw mfaDisabled();
    },

    async enrolTotp({ id }, name) {
      const label = (await users.identity(id))?.email ?? id;
      return totp.enrol(id, label, name);
    },

    async confirmTotp(current, code, client) {
      const { userId, sid: session, ver: version } = current;
      const adding = () => changes.changing({ userId, session });
      const confirming = {
        ...totp,
        verify: (proof: FactorProof) => totp.confirmEnrollment(proof, adding),
      };
      const proof = { userId, holder: session, version, client, input: { code } };
      const verified = await deps.verifier.check(confirming, proof);
      // The notice goes first: the account has the factor even if this session ends.
      const change = { userId, session, version, actor: userId, client };
      const codes = await changes.added({ kind: totp, id: verified.id }, change);
      return { tokens: await changes.stepUp(current, totp, verified), recoveryCodes: codes };
    },

    async remove(current, role, id, client) {
      const { userId, sid: session } = current;
      const found = (await list(userId)).find((one) => one.id === id);
      const kind = primary.find((one) => one.kind === found?.kind);
      const removed = kind && (await removeIn(kind, current, role, id, client));
      await changes.completeRemoval({ userId, session });
      if (removed !== true) throw factorNotFound();
    },

    async replaceCodes({ userId, sid: session, ver: version }, client) {
      if ((await enrolledKinds(kinds, userId)).length === 0) throw noFactor();
      await changes.changing({ userId, session });
      const codes = await recoveryCodes.replace(userId, version);
      if (codes === undefined) throw invalidToken();
      await changes.codesReplaced({ userId, session, version, actor: userId, client });
      return codes;
    },

    async reset(userId, cause, before) {
      await changes.changing({ userId });
      const counts = await Promise.all(kinds.map((kind) => kind.removeAll(userId, before)));
      const count = counts.reduce((sum, one) => sum + one, 0);
      if (count > 0) changes.announceRemoval('all', { userId, ...cause });
      await changes.completeRemoval({ userId });
      return count;
    },
  };
}
