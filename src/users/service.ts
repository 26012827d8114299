import type { Cache, Region } from '../cache/port';
import type { Locks } from '../data/locks';
import { Problem, problems } from '../errors';
import { backoffMs } from '../lifecycle';
import { type CachedUser, LIST_GROUP, userGroup } from './cached';
import { foldEmail, type KeptSession } from './model';
import { type Changes, type EndSessions, isDuplicateKey, type NewUser, type UserRepository } from './repository';
import type { Role } from './roles';

export interface Actor {
  readonly userId: string;
  readonly role: Role;
  /** Set for a service account. */
  readonly scopes?: readonly string[];
}

export interface Changed {
  readonly user: CachedUser;
  /** The e-mail address that the user had before, when it is another now. */
  readonly leftEmail: string | undefined;
}

export interface UserService {
  /** Cached. Throws 404. */
  get(id: string): Promise<CachedUser>;
  /** This worker's copy, if it is young enough: no promise, no I/O. */
  near(id: string): CachedUser | undefined;
  create(user: Omit<NewUser, 'id'>): Promise<CachedUser>;
  /** `revs`: what If-Match allows; undefined: any. */
  change(actor: Actor, id: string, changes: Changes, revs: readonly number[] | undefined): Promise<Changed>;
  remove(actor: Actor, id: string, revs: readonly number[] | undefined): Promise<void>;
  /** A new password ends every session opened so far. */
  setPassword(id: string, passwordHash: string): Promise<CachedUser>;
  /** Same, if `from` is still the hash and `keep` still stands: else nothing is done, and it resolves with false. */
  changePassword(id: string, from: string, to: string, keep: KeptSession): Promise<boolean>;
  /** A ban ends every session and refuses every login, until it is lifted. The last administrator cannot be banned (409). */
  setStatus(id: string, status: 'active' | 'banned'): Promise<CachedUser>;
  /** A new, verified e-mail address; ends nothing. False, and nothing done: sessions were ended since `version`. */
  setEmail(id: string, email: string, version: number): Promise<boolean>;
  /** After these have resolved no later request with a token of those sessions is accepted, on any worker. */
  endSessions(id: string, end: EndSessions): Promise<boolean>;
  revokeSessions(id: string, sids: readonly string[], until: Date, keep?: KeptSession): Promise<void>;
}

export interface UserServiceDependencies {
  readonly repository: UserRepository;
  readonly users: Region<CachedUser>;
  readonly cache: Cache;
  readonly locks: Locks;
  readonly now: () => Date;
}

/** Writes to one user at the same time, each of which may come between once. */
const FENCE_ATTEMPTS = 30;

export const emailTaken = () => problems.conflict('email_taken', 'Another account has this e-mail address.');
export const noSuchUser = () => problems.notFound('There is no such user.', 'user_not_found');

const contended = () => problems.unavailable('contended', 'Too many writes to this user at the same time.', 1);
const lastAdmin = () => problems.conflict('last_admin', 'The last administrator cannot be removed or lose the role.');

/** A scope over users is none over administrators: who could make or take over one would have every scope. */
export function mayTouch(actor: Actor, anAdmin: boolean): void {
  if (anAdmin && actor.scopes !== undefined) {
    throw problems.forbidden('A service account has no power over administrators.', 'administrators_only');
  }
}

/** Nothing was written: the caches may be used again at once. */
const isHarmless = (error: unknown) => isDuplicateKey(error) || (error instanceof Problem && error.status < 500);

export function createUserService({ repository, users, cache, locks, now }: UserServiceDependencies): UserService {
  /** Every write that a reader could see goes through here. */
  async function write<R>(id: string, commit: () => Promise<R>): Promise<R> {
    try {
      return await cache.write([userGroup(id), LIST_GROUP], commit, isHarmless);
    } catch (error) {
      if (isDuplicateKey(error)) throw emailTaken();
      throw error;
    }
  }

  /** 404 or 412, whichever it was that kept a write from finding its document. */
  async function missed(id: string): Promise<Problem> {
    return (await repository.find(id)) === null ? noSuchUser() : problems.preconditionFailed();
  }

  async function get(id: string): Promise<CachedUser> {
    const user = users.peek(id) ?? (await users.get(id));
    if (user === null) throw noSuchUser();
    return user;
  }

  /** Runs `work` so that an administrator remains after it, whatever happens at the same time elsewhere. */
  function keepingAnAdmin<T>(id: string, work: () => Promise<T>): Promise<T> {
    return locks.withLock('admin-removal', async () => {
      if (!(await repository.otherAdminExists(id))) throw lastAdmin();
      return work();
    });
  }

  /**
   * Writes at the revision that the user has, and again at the newer one when another write came between. So a write that
   * was given up (its answer did not come in time) and reaches the database late finds its revision gone, and cannot
   * undo what was acknowledged since.
   */
  async function atCurrentRev<R>(id: string, known: number | undefined, work: (revs: readonly number[]) => Promise<R | null>): Promise<R> {
    let rev = known;
    for (let attempt = 0; attempt < FENCE_ATTEMPTS; attempt += 1) {
      rev ??= (await repository.find(id))?.rev;
      if (rev === undefined) throw noSuchUser();
      const result = await work([rev]);
      if (result !== null) return result;
      rev = undefined;
      await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, 1, 50)));
    }
    throw contended();
  }

  function set(id: string, changes: Changes, endSessions?: EndSessions): Promise<CachedUser> {
    return write(id, () => atCurrentRev(id, undefined, (revs) => repository.update(id, changes, { now: now(), endSessions, revs })));
  }

  /**
   * Null: the user has changed since it was read here, and what was decided on it no longer holds: If-Match, or the role
   * (who is made an administrator meanwhile must not be demoted past the lock).
   */
  async function tryChange(actor: Actor, id: string, changes: Changes, revs: readonly number[] | undefined): Promise<Changed | null> {
    const before = await repository.find(id);
    if (before === null) throw noSuchUser();
    const { role = before.role, email = before.email } = changes;
    mayTouch(actor, role === 'admin' || before.role === 'admin');
    if (revs !== undefined && !revs.includes(before.rev)) throw problems.preconditionFailed();
    const endSessions = role === before.role ? undefined : {};
    const update = (at: readonly number[]) => repository.update(id, changes, { now: now(), endSessions, revs: at });
    const exactly = revs !== undefined || changes.role !== undefined;
    const commit = () => write(id, () => (exactly ? update([before.rev]) : atCurrentRev(id, before.rev, update)));
    const user = await (before.role === 'admin' && role !== 'admin' ? keepingAnAdmin(id, commit) : commit());
    return user && { user, leftEmail: foldEmail(email) === foldEmail(before.email) ? undefined : before.email };
  }

  async function isAdmin(id: string): Promise<boolean> {
    const user = await repository.find(id);
    if (user === null) throw noSuchUser();
    return user.role === 'admin';
  }

  return {
    get,
    near: (id) => users.peek(id) ?? undefined,
    async create(user) {
      const id = repository.newId();
      return write(id, () => repository.insert({ ...user, id }, now()));
    },
    async change(actor, id, changes, revs) {
      if (changes.role !== undefined && actor.role !== 'admin')
        throw problems.forbidden('Only an administrator may change a role.', 'role_change_forbidden');
      for (let attempt = 0; attempt < FENCE_ATTEMPTS; attempt += 1) {
        const done = await tryChange(actor, id, changes, revs);
        if (done !== null) return done;
        await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, 1, 50)));
      }
      throw contended();
    },
    async remove(actor, id, revs) {
      const commit = () =>
        write(id, async () => {
          if (revs === undefined) await atCurrentRev(id, undefined, async (current) => (await repository.remove(id, current)) || null);
          else if (!(await repository.remove(id, revs))) throw await missed(id);
        });
      const ofAdmin = await isAdmin(id);
      mayTouch(actor, ofAdmin);
      await (ofAdmin ? keepingAnAdmin(id, commit) : commit());
    },
    setPassword: (id, passwordHash) => set(id, { passwordHash }, {}),
    async changePassword(id, from, to, keep) {
      const options = { ifPasswordHash: from, endSessions: { keep } };
      return write(id, async () => (await repository.update(id, { passwordHash: to }, { now: now(), ...options })) !== null);
    },
    async setStatus(id, status) {
      const commit = () => set(id, { status }, {});
      return status === 'banned' && (await isAdmin(id)) ? keepingAnAdmin(id, commit) : commit();
    },
    async setEmail(id, email, version) {
      const updated = await write(id, () => repository.update(id, { email }, { now: now(), version }));
      if (updated !== null) await repository.markEmailVerified(id, email);
      return updated !== null;
    },
    endSessions: (id, end) => cache.write([userGroup(id)], () => repository.endSessions(id, end)),
    async revokeSessions(id, sids, until, keep) {
      if (sids.length > 0) await cache.write([userGroup(id)], () => repository.revokeSessions(id, sids, until, now(), keep));
    },
  };
}
