import { Types } from 'mongoose';
import { type CachedFields, type CachedUser, toCached } from './cached';
import { foldEmail, foldName, type UserDocument, type UserModel } from './model';
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
  readonly passwordHash?: string;
}

export interface Credentials {
  readonly id: string;
  readonly role: Role;
  readonly status: 'active' | 'banned';
  readonly sessionVersion: number;
  readonly passwordHash: string;
}

export interface UpdateOptions {
  /** Refuse unless the document still has one of these revisions (If-Match). */
  readonly revs?: readonly number[];
  /** End every access token issued so far. */
  readonly endSessions?: boolean;
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
  /** null: no such user, or not at one of `revs`. */
  update(id: string, changes: Changes, options: UpdateOptions): Promise<CachedUser | null>;
  /** A new hash of the same password: nothing that anyone can see changes. */
  rehash(id: string, from: string, to: string): Promise<void>;
  remove(id: string, revs?: readonly number[]): Promise<boolean>;
  /** Whether an active administrator other than `id` exists. */
  otherAdminExists(id: string): Promise<boolean>;
}

const WITHOUT_SECRETS = { passwordHash: 0, nameKey: 0, emailKey: 0 } as const;
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
    async update(id, { name, email, ...rest }, { revs, endSessions = false, now }) {
      const updated = await users
        .findOneAndUpdate(
          { _id: id, ...revFilter(revs) },
          {
            $set: {
              ...rest,
              ...(name === undefined ? {} : foldedName(name)),
              ...(email === undefined ? {} : foldedEmail(email)),
              updatedAt: now,
            },
            $inc: { rev: 1, ...(endSessions ? { sessionVersion: 1 } : {}) },
          },
          { returnDocument: 'after', projection: WITHOUT_SECRETS, runValidators: true, ...bounded },
        )
        .lean<CachedFields | null>();
      return updated === null ? null : toCached(updated);
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
