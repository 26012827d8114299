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
import { type CachedUser, toCached } from './cached';
import type { Changes, NewUser } from './changes';
import { type CredentialWrites, createCredentialWrites } from './credential-writes';
import { noSuchUser } from './decide';
import { auditedMembers } from './metadata/changes';
import type { ChangeOptions } from './proof';
import type { UserRepository } from './repository';
import { assertKnownRole, changesNothing, movedEmail, throwRefusal } from './rules';
import { createUserWrites } from './writes';

interface Changed {
  readonly user: CachedUser;
  /** The e-mail address that the user had before, when it is another now. */
  readonly leftEmail: string | undefined;
  readonly hasNewRole: boolean;
  /** Members of metadata, for the audit log. */
  readonly members: readonly string[];
}

export interface UserService extends AccountAdministration, CredentialWrites {
  /** Cached; null where there is none. A ban that is over is lifted before. */
  find(id: string): Promise<CachedUser | null>;
  /** The same. Throws 404. */
  get(id: string): Promise<CachedUser>;
  /** This worker's local cache entry, if it is young enough: no promise, no I/O. */
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
  const { decided, update, unchanged } = writes;
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
    ...createCredentialWrites({ writes, repository, now }),
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
  };
}

const asItIs = (user: CachedUser | null): Changed | null =>
  user && { user, leftEmail: undefined, hasNewRole: false, members: [] };
