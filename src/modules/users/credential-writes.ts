import { type CachedUser, sessionStands } from './cached';
import type { EndSessions } from './changes';
import type { KeptSession } from './model';
import type { Proof } from './proof';
import type { UserRepository } from './repository';
import { holds } from './rules';
import { hasEmail } from './snapshot';
import type { UserWrites } from './writes';

/** Writes of passwords, of proven addresses and of ended sessions. */
export interface CredentialWrites {
  /**
   * A new password ends every session opened so far. False, and nothing done: `email` is not the
   * account's address any more.
   */
  setPassword(id: string, passwordHash: string, email: string): Promise<boolean>;
  /**
   * Same by a proof that its owner reads the mails of the address, which verifies that. False, and
   * nothing done: the proof no longer holds.
   */
  resetPassword(id: string, passwordHash: string, proof: Proof): Promise<boolean>;
  /**
   * Same by the present password, at a login. null, and nothing done: the proof no longer holds.
   */
  replacePassword(id: string, passwordHash: string, proof: Proof): Promise<CachedUser | null>;
  /**
   * Same, if `from` is still the hash and `keep` still stands: else nothing is done, and it
   * resolves with false.
   */
  changePassword(id: string, from: string, to: string, keep: KeptSession): Promise<boolean>;
  /**
   * `email`, the present address or a new one, is verified from now on; ends nothing. False, and
   * nothing done: the proof no longer holds.
   */
  confirmEmail(id: string, email: string, proof: Proof): Promise<boolean>;
  /**
   * After these have resolved no later request with a token of those sessions is accepted, on any
   * worker.
   */
  endSessions(id: string, end: EndSessions): Promise<boolean>;
  /** Resolves true for the call that ended one of them. */
  revokeSessions(
    id: string,
    sids: readonly string[],
    until: Date,
    keep?: KeptSession,
  ): Promise<boolean>;
}

export interface CredentialWritesDependencies {
  readonly writes: Pick<UserWrites, 'decided' | 'update' | 'updated'>;
  readonly repository: Pick<UserRepository, 'endSessions' | 'revokeSessions'>;
  readonly now: () => Date;
}

export function createCredentialWrites({
  writes: { decided, update, updated },
  repository,
  now,
}: CredentialWritesDependencies): CredentialWrites {
  return {
    setPassword: (id, passwordHash, email) =>
      decided.write(id, undefined, (seen) =>
        hasEmail(seen, email) ? updated(seen, { passwordHash }, { endSessions: {} }) : NOTHING,
      ),
    resetPassword: (id, passwordHash, proof) =>
      decided.write(id, undefined, (seen) =>
        holds(proof, seen)
          ? updated(seen, { passwordHash, emailVerified: true }, { endSessions: {} })
          : NOTHING,
      ),
    async replacePassword(id, passwordHash, proof) {
      interface Replaced {
        readonly user: CachedUser | null;
      }
      const { user } = await decided.write<Replaced>(id, undefined, (seen) => {
        if (!holds(proof, seen)) return async () => ({ user: null });
        const options = { endSessions: {}, sameSessions: true } as const;
        const commit = update(seen, { passwordHash }, options);
        return async (attempt, rest) => {
          const user = await commit(attempt, rest);
          return user && { user };
        };
      });
      return user;
    },
    changePassword: (id, from, to, keep) =>
      decided.write(id, undefined, (seen) =>
        seen.passwordHash === from && sessionStands(seen, keep.sid, keep.ver)
          ? updated(seen, { passwordHash: to }, { endSessions: { keep }, sameSessions: true })
          : NOTHING,
      ),
    confirmEmail: (id, email, proof) =>
      decided.write(id, undefined, (seen) => {
        // Other letter case is the same address, and to be stored as it was confirmed.
        const isPresent = seen.email === email || proof.email === email;
        const changes = isPresent ? { emailVerified: true } : { email, emailVerified: true };
        return holds(proof, seen) ? updated(seen, changes, { sameSessions: true }) : NOTHING;
      }),
    endSessions: (id, { keep }) =>
      decided.sessions(id, (seen) => {
        if (keep !== undefined && !sessionStands(seen, keep.sid, keep.ver)) return NOTHING;
        return async (attempt) =>
          (await repository.endSessions(seen, attempt(), { keep, now: now() })) || null;
      }),
    async revokeSessions(id, sids, until, keep) {
      if (sids.length === 0) return false;
      const revocation = { id, sids, until, keep, now: now() };
      let isFirst = false;
      await decided.sessions(id, () => async (attempt) => {
        const done = await repository.revokeSessions(attempt(), revocation);
        isFirst = done?.isFirst === true;
        return done === undefined ? null : true;
      });
      return isFirst;
    },
  };
}

/** The decision to do nothing. */
const NOTHING = async () => false;
