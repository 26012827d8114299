import { Types, trusted } from 'mongoose';
import { type CachedFields, type CachedUser, toCached } from './cached';
import { foldEmail, foldName, type KeptSession, type UserDocument, type UserModel } from './model';
import type { Role } from './roles';

export interface NewUser {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly passwordHash: string;
  readonly role: Role;
}

export interface Changes {
  readonly name?: string;
  readonly email?: string;
  readonly role?: Role;
  readonly status?: 'active' | 'banned';
  readonly passwordHash?: string;
}

export interface Credentials {
  readonly id: string;
  readonly role: Role;
  readonly status: 'active' | 'banned';
  readonly sessionVersion: number;
  readonly passwordHash: string;
}

export interface EndSessions {
  /** A session that goes on, and the version of the token at hand. Nothing is done unless it still stands at that moment. */
  readonly keep?: KeptSession | undefined;
}

export interface UpdateOptions {
  /** Refuse unless the document still has one of these revisions (If-Match). */
  readonly revs?: readonly number[];
  /** Refuse when sessions were ended since this session version, that is: by a new password or role. */
  readonly version?: number | undefined;
  /** End every session opened so far, but for `keep`. */
  readonly endSessions?: EndSessions | undefined;
  /** Refuse unless this is still the password's hash. */
  readonly ifPasswordHash?: string | undefined;
  readonly now: Date;
}

/** The truth about users. Every write is one atomic operation on one document. */
export interface UserRepository {
  newId(): string;
  find(id: string): Promise<CachedFields | null>;
  credentialsByEmail(email: string): Promise<Credentials | null>;
  credentialsById(id: string): Promise<Credentials | null>;
  /** Rejects with a duplicate-key error (code 11000) when the e-mail is taken. */
  insert(user: NewUser, now: Date): Promise<CachedUser>;
  /** null: no such user, or one of the options' conditions does not hold. */
  update(id: string, changes: Changes, options: UpdateOptions): Promise<CachedUser | null>;
  /** Ends all sessions but `keep`; nothing of the user that a client can see changes. False: `keep` does not stand. */
  endSessions(id: string, end: EndSessions): Promise<boolean>;
  /**
   * Refuses the access tokens of these sessions until they have expired. Past MAX_REVOKED of them, ends all sessions
   * instead, but for `keep` if nothing else has ended it.
   */
  revokeSessions(id: string, sids: readonly string[], until: Date, now: Date, keep?: KeptSession): Promise<void>;
  /** false when the user has another address by now. */
  markEmailVerified(id: string, email: string): Promise<boolean>;
  isEmailVerified(id: string): Promise<boolean>;
  /** A new hash of the same password: nothing that anyone can see changes. */
  rehash(id: string, from: string, to: string): Promise<void>;
  remove(id: string, revs?: readonly number[]): Promise<boolean>;
  /** Whether an active administrator other than `id` exists. */
  otherAdminExists(id: string): Promise<boolean>;
}

/** Bounds what every cached user carries. An entry lives as long as an access token. */
export const MAX_REVOKED = 100;

const WITHOUT_SECRETS = { passwordHash: 0, nameKey: 0, emailKey: 0, verifiedEmailKey: 0 } as const;
const CREDENTIALS = { role: 1, status: 1, sessionVersion: 1, passwordHash: 1 } as const;

export function createUserRepository(users: UserModel, options: { timeoutMs: number }): UserRepository {
  const { timeoutMs } = options;
  const bounded = { maxTimeMS: timeoutMs } as const;

  return {
    newId: () => new Types.ObjectId().toHexString(),
    find: async (id) => users.findById(id, WITHOUT_SECRETS, bounded).lean<CachedFields | null>(),
    credentialsByEmail: async (email) => toCredentials(await users.findOne({ emailKey: foldEmail(email) }, CREDENTIALS, bounded).lean()),
    credentialsById: async (id) => toCredentials(await users.findById(id, CREDENTIALS, bounded).lean()),
    async insert({ id, name, email, passwordHash, role }, now) {
      const document = {
        _id: new Types.ObjectId(id),
        ...foldedName(name),
        ...foldedEmail(email),
        passwordHash,
        role,
        status: 'active' as const,
        rev: 1,
        sessionVersion: 1,
        revokedSessions: [],
        createdAt: now,
        updatedAt: now,
      };
      await users.create([document], { validateBeforeSave: true });
      return toCached(document);
    },
    async update(id, { name, email, ...rest }, options) {
      const { endSessions, now } = options;
      const updated = await users
        .findOneAndUpdate(
          { _id: id, ...guards(options) },
          {
            $set: {
              ...rest,
              ...(name === undefined ? {} : foldedName(name)),
              ...(email === undefined ? {} : foldedEmail(email)),
              updatedAt: now,
              ...(endSessions === undefined ? {} : ended(endSessions).$set),
            },
            ...(endSessions?.keep === undefined && endSessions !== undefined ? { $unset: { keptSession: 1 } } : {}),
            $inc: { rev: 1, ...(endSessions === undefined ? {} : { sessionVersion: 1 }) },
          },
          { returnDocument: 'after', projection: WITHOUT_SECRETS, runValidators: true, ...bounded },
        )
        .lean<CachedFields | null>();
      return updated === null ? null : toCached(updated);
    },
    async endSessions(id, end) {
      const unset = end.keep === undefined ? { $unset: { keptSession: 1 } } : {};
      const { matchedCount } = await users.updateOne(
        { _id: id, ...standing(end) },
        { ...ended(end), ...unset, $inc: { sessionVersion: 1 } },
        bounded,
      );
      return matchedCount === 1;
    },
    async revokeSessions(id, sids, until, now, keep) {
      const live = { $filter: { input: '$revokedSessions', cond: { $gt: ['$$this.until', now] } } };
      const all = { $concatArrays: [live, sids.map((sid) => ({ sid, until }))] };
      const tooMany = { $gt: [{ $size: '$revokedSessions' }, MAX_REVOKED] };
      const stillKept = keep === undefined ? '$$REMOVE' : { $cond: [{ $eq: ['$sessionVersion', keep.ver] }, keep, '$$REMOVE'] };
      await users.collection.updateOne(
        { _id: new Types.ObjectId(id) },
        [
          { $set: { revokedSessions: all } },
          {
            $set: {
              sessionVersion: { $cond: [tooMany, { $add: ['$sessionVersion', 1] }, '$sessionVersion'] },
              keptSession: { $cond: [tooMany, stillKept, '$keptSession'] },
            },
          },
          { $set: { revokedSessions: { $cond: [tooMany, [], '$revokedSessions'] } } },
        ],
        bounded,
      );
    },
    async markEmailVerified(id, email) {
      const emailKey = foldEmail(email);
      const { matchedCount } = await users.updateOne({ _id: id, emailKey }, { $set: { verifiedEmailKey: emailKey } }, bounded);
      return matchedCount === 1;
    },
    async isEmailVerified(id) {
      const user = await users.findById(id, { emailKey: 1, verifiedEmailKey: 1 }, bounded).lean();
      return user !== null && user.verifiedEmailKey === user.emailKey;
    },
    async rehash(id, from, to) {
      await users.updateOne({ _id: id, passwordHash: from }, { $set: { passwordHash: to } }, bounded);
    },
    async remove(id, revs) {
      const { deletedCount } = await users.deleteOne({ _id: id, ...revFilter(revs) }, bounded);
      return deletedCount === 1;
    },
    async otherAdminExists(id) {
      // The driver's own collection: mongoose would take the operator for a value (sanitizeFilter).
      const filter = { role: 'admin', status: 'active', _id: { $ne: new Types.ObjectId(id) } };
      return (await users.collection.findOne(filter, { projection: { _id: 1 }, ...bounded })) !== null;
    },
  };
}

/** All older tokens are refused by their version: what was refused one by one need not be remembered. */
const ended = ({ keep }: EndSessions) => ({ $set: { revokedSessions: [], ...(keep === undefined ? {} : { keptSession: keep }) } });

const guards = ({ revs, version, ifPasswordHash, endSessions }: UpdateOptions) => ({
  ...revFilter(revs),
  ...standing(endSessions),
  ...(version === undefined ? {} : { sessionVersion: version }),
  ...(ifPasswordHash === undefined ? {} : { passwordHash: ifPasswordHash }),
});

/**
 * `sessionStands` as a condition of the write itself: a session that was ended meanwhile must not become the one that is
 * kept. The operators are ours, not a request's.
 */
function standing(end: EndSessions | undefined) {
  if (end?.keep === undefined) return {};
  const { sid, ver } = end.keep;
  return {
    status: 'active' as const,
    'revokedSessions.sid': trusted({ $ne: sid }),
    $and: [{ $or: [{ sessionVersion: ver }, { 'keptSession.sid': sid, 'keptSession.ver': trusted({ $lte: ver }) }] }],
  };
}

const foldedName = (name: string) => ({ name, nameKey: foldName(name) });
const foldedEmail = (email: string) => ({ email, emailKey: foldEmail(email) });

const revFilter = (revs: readonly number[] | undefined) => {
  if (revs === undefined) return {};
  return revs.length === 1 ? { rev: revs[0] ?? -1 } : { $or: [...revs, -1].map((rev) => ({ rev })) };
};

type Found = Pick<UserDocument, '_id' | 'role' | 'status' | 'sessionVersion' | 'passwordHash'>;

function toCredentials(user: Found | null): Credentials | null {
  if (user === null) return null;
  const { role, status, sessionVersion, passwordHash } = user;
  return { id: user._id.toHexString(), role, status, sessionVersion, passwordHash };
}

/** MongoDB's duplicate key: nothing was written. */
export const isDuplicateKey = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 11000;
