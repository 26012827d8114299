import type { Deadline, StartDeadline } from '../../kernel/deadline';
import { Problem } from '../../kernel/errors';
import { assertMayActOn, assertMayAssign } from '../../kernel/permission-refusals';
import type { Policy } from '../../kernel/permissions';
import type { Cache, TypedCache } from '../../platform/cache/port';
import type { Precondition } from '../../platform/http/conditional';
import type { Locks } from '../../platform/mongo/locks';
import type { Cause, EmitEvent } from '../domain-events';
import { type Actor, causeOf, isItself } from './actor';
import {
  type AccountAdministration,
  createAccountAdministration,
} from './administration/account-administration';
import { isActive } from './bans';
import { type CachedUser, sessionStands, toCached } from './cached';
import type { Changes, EndSessions, NewUser } from './changes';
import { noSuchUser } from './decide';
import { auditedMembers } from './metadata/changes';
import type { KeptSession } from './model';
import type { ChangeOptions, Proof } from './proof';
import type { UserRepository } from './repository';
import { assertKnownRole, changesNothing, holds, movedEmail, throwRefusal } from './rules';
import { hasEmail } from './snapshot';
import { createUserWrites } from './writes';

interface Changed {
  readonly user: CachedUser;
  /** The e-mail address that the user had before, when it is another now. */
  readonly leftEmail: string | undefined;
  readonly hasNewRole: boolean;
  /** Members of metadata, for the audit log. */
  readonly members: readonly string[];
}

export interface UserService extends AccountAdministration {
  /** Cached; null where there is none. A ban that is over is lifted before. */
  find(id: string): Promise<CachedUser | null>;
  /** The same. Throws 404. */
  get(id: string): Promise<CachedUser>;
  /** This worker's copy, if it is young enough: no promise, no I/O. */
  near(id: string): CachedUser | undefined;
  /** A cause without an actor: the user registers. */
  create(
    user: Omit<NewUser, 'id'> & {
      readonly id?: string;
      /** Several requests may create it at once. All but one of them throw 409. */
      readonly hasSharedId?: boolean;
    },
    cause: Cause,
  ): Promise<CachedUser>;
  /** Another address is an unverified one. */
  change(actor: Actor, id: string, changes: Changes, options?: ChangeOptions): Promise<CachedUser>;
  remove(
    actor: Actor,
    id: string,
    check: Precondition | undefined,
    within?: Deadline,
  ): Promise<void>;
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

export interface UserServiceDependencies {
  readonly repository: UserRepository;
  readonly users: TypedCache<CachedUser>;
  readonly cache: Cache;
  readonly locks: Locks;
  readonly policy: Policy;
  readonly now: () => Date;
  readonly startDeadline: StartDeadline;
  readonly emit: EmitEvent;
  /** The hash of an account without a password. */
  readonly noPassword: string;
  /** Longest time of one operation. */
  readonly timeoutMs: number;
}

export function createUserService(deps: UserServiceDependencies): UserService {
  const { repository, users, policy, now, emit } = deps;
  const writes = createUserWrites(deps);
  const { decided, update, updated, unchanged } = writes;
  const administration = createAccountAdministration({ writes, policy, emit });

  /** The document, and so the cached bytes, say `banned` until a write lifts the ban. */
  const isOver = ({ banEndsMs }: CachedUser) =>
    banEndsMs !== undefined && banEndsMs <= now().getTime();

  async function find(id: string): Promise<CachedUser | null> {
    const user = users.peek(id) ?? (await users.get(id));
    if (user === null || !isOver(user)) return user;
    return administration.liftOverBan(id).catch((error: unknown) => {
      if (error instanceof Problem && error.status === 404) return null;
      throw error;
    });
  }

  return {
    ...administration,
    find,
    async get(id) {
      const user = await find(id);
      if (user === null) throw noSuchUser();
      return user;
    },
    near(id) {
      const user = users.peek(id) ?? undefined;
      return user === undefined || isOver(user) ? undefined : user;
    },
    async create(user, cause) {
      const id = user.id ?? repository.newId();
      const insert = () => repository.insert({ ...user, id }, now());
      const created = await decided.unconditionally(id, insert).catch(async (error: unknown) => {
        // With a given id, it may be created already, by a request that could not be answered. A
        // request that goes on beside this one tells of it itself.
        const mayExist = user.id !== undefined && user.hasSharedId !== true;
        const isTaken = error instanceof Problem && error.status === 409;
        const earlier = mayExist && isTaken ? await repository.find(id) : null;
        if (earlier === null) throw error;
        return toCached(earlier);
      });
      const { email, emailVerified = false } = user;
      emit('UserCreated', { userId: id, email, emailVerified, ...cause });
      return created;
    },
    async change(actor, id, wanted, { check, within, derive, ...refusals } = {}) {
      const { user, leftEmail, hasNewRole, members } = await decided.write(id, within, (seen) => {
        const { role = seen.role, email = seen.email } = wanted;
        assertMayActOn(policy, actor, id, seen.role);
        if (role !== seen.role) {
          assertKnownRole(policy, role);
          assertMayAssign(policy, actor, role);
        }
        check?.(seen.rev, seen);
        throwRefusal(seen, { role, email }, refusals);
        const changes = { ...wanted, ...derive?.(seen) };
        if (changesNothing(seen, changes) && isActive(seen) === (seen.status === 'active'))
          return async () => asItIs(await unchanged(seen));
        const moved = movedEmail(seen, email);
        const commit = update(
          seen,
          { ...changes, ...moved.changes },
          role === seen.role ? {} : { endSessions: {} },
        );
        return async (attempt, rest) => {
          const user = await commit(attempt, rest);
          const members = auditedMembers(changes, seen, isItself(actor, id));
          return user && { user, leftEmail: moved.from, hasNewRole: role !== seen.role, members };
        };
      });
      const event = { userId: id, ...causeOf(actor) };
      if (hasNewRole) emit('RoleChanged', { ...event, role: user.role });
      if (members.length > 0) emit('MetadataChanged', { ...event, members });
      if (leftEmail !== undefined) emit('EmailChanged', { ...event, from: leftEmail });
      return user;
    },
    async remove(actor, id, check, within) {
      await decided.write(id, within, (seen) => {
        assertMayActOn(policy, actor, id, seen.role);
        check?.(seen.rev);
        return writes.remove(seen);
      });
      emit('UserRemoved', { userId: id, ...causeOf(actor) });
    },
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

const asItIs = (user: CachedUser | null): Changed | null =>
  user && { user, leftEmail: undefined, hasNewRole: false, members: [] };

/** The decision that nothing is to be done. */
const NOTHING = async () => false;
