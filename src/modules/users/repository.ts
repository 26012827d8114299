import { Types } from 'mongoose';
import { foldEmail } from '../../kernel/fold';
import { inTime } from '../../platform/mongo/bounded';
import { exactReads } from '../../platform/mongo/exact-reads';
import type { PendingEvent } from '../../platform/outbox/pending-event';
import { type CachedFields, type CachedUser, toCached } from './cached';
import type { Changes, EndSessions, NewUser, UpdateOptions } from './changes';
import { CREDENTIALS, type Credentials, type FoundCredentials, toCredentials } from './credentials';
import type { UserModel } from './model';
import { newDocument } from './new-document';
import { type Revocation, revoked } from './session-revocation';
import {
  type Attempt,
  notLate,
  SNAPSHOT_PROJECTION,
  type Snapshot,
  type SnapshotFields,
  toSnapshot,
  unchangedWithEvents,
} from './snapshot';
import { endedEvent, removedEvent, roomForEnd } from './user-events';
import { changeOf, conditionsOf, ended, lastLoginBefore, standing } from './write-commands';

/** The truth about users. Every write is one atomic operation on one document. */
export interface UserRepository {
  newId(): string;
  find(id: string): Promise<CachedFields | null>;
  /** From the primary, whatever the read preference is. */
  exists(id: string): Promise<boolean>;
  /** Those of the ids whose removal has not been committed for good: a failover may undo it. */
  existing(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** The state that a write is decided on. */
  look(id: string, timeoutMs: number): Promise<Snapshot | null>;
  credentialsByEmail(email: string): Promise<Credentials | null>;
  credentialsById(id: string): Promise<Credentials | null>;
  /** Rejects with a duplicate-key error (code 11000) when the e-mail is taken. */
  insert(user: NewUser, now: Date): Promise<CachedUser>;
  /**
   * null, and nothing done: the user is no longer what was seen, or the attempt's time was over.
   */
  update(
    seen: Snapshot,
    attempt: Attempt,
    changes: Changes,
    options: UpdateOptions,
  ): Promise<CachedUser | null>;
  /**
   * Ends all sessions but `keep`; nothing of the user that a client can see changes. False, and
   * nothing done: as above.
   */
  endSessions(seen: Snapshot, attempt: Attempt, end: EndSessions & { now: Date }): Promise<boolean>;
  /**
   * Refuses the access tokens of these sessions until they have expired. Past MAX_REVOKED of them,
   * ends all sessions instead, but for `keep` if nothing else has ended it. Undefined, and nothing
   * done: no such user, or the time was over. `isFirst`: one of them was not revoked already.
   */
  revokeSessions(
    attempt: Attempt,
    revocation: Revocation,
  ): Promise<{ readonly isFirst: boolean } | undefined>;
  /**
   * Keeps the database's time as that of the last login, where the one that is kept is older than
   * `intervalMs`. No revision moves. False, and nothing done: it is not, or there is no such user.
   */
  noteLogin(id: string, attempt: Attempt, intervalMs: number): Promise<boolean>;
  /** A new hash of the same password: nothing that anyone can see changes. */
  rehash(id: string, from: string, to: string): Promise<void>;
  /** As `update`. */
  remove(seen: Snapshot, attempt: Attempt): Promise<boolean>;
  /**
   * Whether an active administrator other than `id` exists who can sign in: one with a password, or
   * who has signed in without one. `noPassword`: the hash of an account without one.
   */
  otherAdminExists(id: string, noPassword: string): Promise<boolean>;
}

const WITHOUT_SECRETS = {
  passwordHash: 0,
  nameKey: 0,
  emailKey: 0,
  searchKeys: 0,
  searchText: 0,
  searchAll: 0,
  outbox: 0,
} as const;

export function createUserRepository(
  users: UserModel,
  options: { timeoutMs: number },
): UserRepository {
  const { timeoutMs } = options;
  const bounded = { maxTimeMS: timeoutMs } as const;

  return {
    newId: () => new Types.ObjectId().toHexString(),
    async look(id, leftMs) {
      const limit = Math.max(1, Math.floor(Math.min(leftMs, timeoutMs)));
      const found = await inTime(
        users
          .findById(id, SNAPSHOT_PROJECTION, { maxTimeMS: limit })
          .lean<SnapshotFields | null>()
          .exec(),
        limit,
        'the read of a user',
      );
      return found === null ? null : toSnapshot(found, performance.now());
    },
    find: async (id) => users.findById(id, WITHOUT_SECRETS, bounded).lean<CachedFields | null>(),
    async exists(id) {
      const options = { ...bounded, projection: { _id: 1 }, readPreference: 'primary' } as const;
      return (await users.collection.findOne({ _id: new Types.ObjectId(id) }, options)) !== null;
    },
    async existing(ids) {
      const filter = { _id: { $in: ids.map((id) => new Types.ObjectId(id)) } };
      const options = { ...exactReads(users.db, timeoutMs), projection: { _id: 1 } };
      const found = await users.collection.find(filter, options).toArray();
      return new Set(found.map(({ _id }) => _id.toHexString()));
    },
    credentialsByEmail: async (email) =>
      toCredentials(
        await users
          .findOne({ emailKey: foldEmail(email) }, CREDENTIALS, bounded)
          .lean<FoundCredentials | null>(),
      ),
    credentialsById: async (id) =>
      toCredentials(await users.findById(id, CREDENTIALS, bounded).lean<FoundCredentials | null>()),
    async insert(user, now) {
      const document = newDocument(user, now);
      await new users(document).validate();
      await users.collection.insertOne(document, bounded);
      return toCached(document);
    },
    async update(seen, attempt, changes, options) {
      const done = users
        .findOneAndUpdate(
          conditionsOf(seen, attempt, changes, options),
          changeOf(seen, changes, options),
          {
            returnDocument: 'after',
            projection: WITHOUT_SECRETS,
            runValidators: true,
            maxTimeMS: attempt.timeoutMs,
          },
        )
        .lean<CachedFields | null>()
        .exec();
      const updated = await within(attempt, done);
      return updated === null ? null : toCached(updated);
    },
    async endSessions(seen, attempt, end) {
      const unset = end.keep === undefined ? { $unset: { keptSession: 1 } } : {};
      const { id: _id, sessionVersion } = seen;
      const filter = {
        ...{ _id, sessionVersion, ...roomForEnd },
        ...{ ...standing(end), ...notLate(attempt) },
      };
      const outbox = endedEvent(end.now, sessionVersion + 1, end);
      const change = { ...ended(end), ...unset, $push: { outbox }, $inc: { sessionVersion: 1 } };
      const done = users.updateOne(filter, change, { maxTimeMS: attempt.timeoutMs }).exec();
      return (await within(attempt, done)).matchedCount === 1;
    },
    async revokeSessions(attempt, revocation) {
      const projection = { revokedSessions: 1 } as const;
      const done = users.collection.findOneAndUpdate(
        { _id: new Types.ObjectId(revocation.id), ...roomForEnd, ...notLate(attempt) },
        revoked(revocation),
        { maxTimeMS: attempt.timeoutMs, returnDocument: 'before', projection },
      );
      const before = await within(attempt, done);
      if (before === null) return undefined;
      const known = new Set(
        (before['revokedSessions'] ?? []).map(({ sid }: { sid: string }) => sid),
      );
      return { isFirst: revocation.sids.some((sid) => !known.has(sid)) };
    },
    async noteLogin(id, attempt, intervalMs) {
      const done = users.collection.updateOne(
        { _id: new Types.ObjectId(id), ...lastLoginBefore(attempt, intervalMs) },
        [{ $set: { lastLoginAt: '$$NOW' } }],
        { maxTimeMS: attempt.timeoutMs },
      );
      return (await within(attempt, done)).matchedCount === 1;
    },
    async rehash(id, from, to) {
      await users.updateOne(
        { _id: id, passwordHash: from },
        { $set: { passwordHash: to } },
        bounded,
      );
    },
    async remove(seen, attempt) {
      const done = users
        .deleteOne(unchangedWithEvents(seen, attempt), { maxTimeMS: attempt.timeoutMs })
        .exec();
      return (await within(attempt, done)).deletedCount === 1;
    },
    async otherAdminExists(id, noPassword) {
      // The driver's own collection: mongoose would take the operator for a value (sanitizeFilter).
      const filter = { ...usableAdmins(noPassword), _id: { $ne: new Types.ObjectId(id) } };
      return (
        (await users.collection.findOne(filter, { projection: { _id: 1 }, ...bounded })) !== null
      );
    },
  };
}

/**
 * An account that was invited and never signed in has no password: until its mail is read it is
 * nobody's. Other ways of signing in (a passkey, a provider, a mailed code) leave a last login.
 */
export const usableAdmins = (noPassword: string) => ({
  role: 'admin',
  status: 'active',
  $or: [{ passwordHash: { $ne: noPassword } }, { lastLoginAt: { $exists: true } }],
});

/** Announces each removal before it may be committed, with the events that go with the user. */
export const announcingRemovals = (
  repository: UserRepository,
  announce: (userId: string, events: readonly PendingEvent[]) => Promise<void>,
): UserRepository => ({
  ...repository,
  async remove(seen, attempt) {
    const at = new Date(seen.readAt.getTime() + performance.now() - seen.seenMs);
    await announce(seen.id, [...seen.pending, removedEvent(seen, at)]);
    return repository.remove(seen, attempt);
  },
});

/**
 * An attempt is given up when its time is over, even while the driver still waits; `until` in its
 * filter stops the command.
 */
const within = <T>(attempt: Attempt, work: Promise<T>): Promise<T> =>
  inTime(work, attempt.timeoutMs, 'the write of a user');
