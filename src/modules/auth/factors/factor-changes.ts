import type { ClientInfo } from '../../../platform/http/client-info';
import type { Locks } from '../../../platform/mongo/locks';
import type { EmitEvent } from '../../domain-events';
import { wrongCode } from '../problems';
import { assertStands } from '../sessions/assert-stands';
import type { CurrentSession } from '../sessions/end-sessions';
import type { Sessions } from '../sessions/sessions';
import type { DeliveredPair } from '../sessions/token-pair';
import { signInWaysLock } from '../sign-in/sign-in-ways-lock';
import type { UsersPort } from '../users-port';
import { enrolledKinds } from './factor-gate';
import type { FactorKind, VerifiedFactor } from './factor-kinds';
import type { MfaTokens } from './mfa-tokens';
import type { RecoveryCodes } from './recovery-codes';

/** By the owner in a session, by a sign-in without one, or by an administrator. */
interface FactorChange {
  readonly userId: string;
  /** The session that stays stepped up. */
  readonly session?: string | undefined;
  readonly actor?: string | undefined;
  readonly client: ClientInfo;
}

/** Whose factors change, and the session that stays stepped up. */
type FactorOwner = Pick<FactorChange, 'userId' | 'session'>;

/** By a session of this version. */
interface VersionedChange extends FactorChange {
  readonly version: number;
}

interface AddedFactor {
  readonly kind: FactorKind;
  readonly id: string;
}

/**
 * The consequences of every change of factors, of any kind. A process may stop right after the
 * change, so pending sign-ins end before it as well, and where a repeat finds the change made.
 */
export interface FactorChanges {
  /** Right before a factor is added or removed, or the recovery codes are replaced. */
  changing(owner: FactorOwner): Promise<void>;
  /** As soon as one is removed, or `all`: the process may stop at its next step. */
  announceRemoval(kind: string, change: FactorChange): void;
  /**
   * After a removal, and where there is nothing to remove: an earlier attempt may have stopped
   * after the removal. The last factor takes the recovery codes with it.
   */
  completeRemoval(owner: FactorOwner): Promise<void>;
  /**
   * After a session of this version enrolled a factor. Ends the step-up of other
   * sessions. Resolves with the recovery codes that an account gets with its first factor. Throws
   * 401, and removes the factor, where its session has ended meanwhile.
   */
  added(factor: AddedFactor, change: VersionedChange): Promise<readonly string[] | undefined>;
  /** Throws 401, and no code is left, where the session has ended meanwhile. */
  codesReplaced(change: VersionedChange): Promise<void>;
  /**
   * The session has the factor, as of now. Throws 422 `wrong_code` where it was removed after it
   * was verified: that has ended the step-ups before this one.
   */
  stepUp(
    current: CurrentSession,
    kind: FactorKind,
    verified: Pick<VerifiedFactor, 'id' | 'amr'>,
  ): Promise<DeliveredPair>;
}

export interface FactorChangesDependencies {
  readonly kinds: readonly FactorKind[];
  readonly recoveryCodes: RecoveryCodes;
  readonly sessions: Pick<Sessions, 'stepUp' | 'endStepUps'>;
  readonly mfaTokens: MfaTokens;
  readonly users: Pick<UsersPort, 'stored' | 'sessionStands'>;
  readonly locks: Locks;
  readonly emit: EmitEvent;
}

export function createFactorChanges(deps: FactorChangesDependencies): FactorChanges {
  const { kinds, recoveryCodes, sessions, mfaTokens, users, locks, emit } = deps;

  /** Proofs from before the change end with it. */
  async function changing({ userId, session }: FactorOwner): Promise<void> {
    // A sign-in that waits must look anew at what the account has.
    await Promise.all([sessions.endStepUps(userId, session), mfaTokens.revoke(userId)]);
  }

  const withCodesOf = <T>(userId: string, work: () => Promise<T>) =>
    locks.withLockWhenFree(signInWaysLock(userId), work);

  async function completeRemoval(owner: FactorOwner): Promise<void> {
    const { userId } = owner;
    await withCodesOf(userId, async () => {
      const left = await enrolledKinds(kinds, userId);
      if (left.length === 0) await recoveryCodes.removeAll(userId);
    });
    await changing(owner);
  }

  const announceRemoval = (kind: string, change: FactorChange) =>
    emit('FactorRemoved', { ...change, kind });

  /** Nothing to look at where no session changes the factors. */
  async function assertOwnStands(
    { userId, session, version }: VersionedChange,
    undo: () => Promise<void>,
  ): Promise<void> {
    if (session === undefined) return;
    await assertStands(users, { userId, sid: session, ver: version }, async () => {
      await undo();
      await changing({ userId });
    });
  }

  return {
    ...{ changing, completeRemoval, announceRemoval },
    // First: the next steps may fail, and the change is made already.
    async added(factor, change) {
      const { userId, session, version, ...cause } = change;
      emit('FactorAdded', { userId, kind: factor.kind.kind, session, ...cause });
      await assertOwnStands(change, async () => {
        if (await factor.kind.remove(userId, factor.id))
          announceRemoval(factor.kind.kind, { userId, session, ...cause });
      });
      await changing({ userId, session });
      return withCodesOf(userId, async () =>
        (await recoveryCodes.remaining(userId)) > 0
          ? undefined
          : recoveryCodes.replace(userId, version),
      );
    },
    async codesReplaced(change) {
      const { userId, session, version: _, ...cause } = change;
      emit('RecoveryCodesReplaced', { userId, session, ...cause });
      // The earlier ones are gone; nobody has seen these.
      await assertOwnStands(change, async () => void (await recoveryCodes.removeAll(userId)));
      await changing({ userId, session });
    },
    async stepUp(current, kind, verified) {
      const { userId } = current;
      const tokens = await sessions.stepUp(current, verified.amr);
      const isLeft = (await kind.list(userId)).some(({ id }) => id === verified.id);
      if (isLeft) return tokens;
      await sessions.endStepUps(userId);
      throw wrongCode();
    },
  };
}
