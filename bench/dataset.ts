import { randomUUID } from 'node:crypto';
import bcrypt from 'bcrypt';
import mongoose, { type Collection } from 'mongoose';
import type { Subject } from './contestants';
import { BCRYPT_COST, newUser, type UserDocument } from './peers/settings';

export const PASSWORD = 'correct horse battery staple';

/** The n-th user of the data set, computed without the database. User 0 is an administrator. */
export const subject = (n: number): Subject => ({
  id: (n + 1).toString(16).padStart(24, '0'),
  role: n === 0 ? 'admin' : 'user',
});
export const email = (n: number): string => `user${n}@bench.example`;

const BATCH = 5000;

/**
 * Fills the `users` collection up to `count`, in the form that both the service and its peers read.
 */
export async function seedUsers(uri: string, count: number): Promise<void> {
  await withUsers(uri, async (users) => {
    const passwordHash = await bcrypt.hash(PASSWORD, BCRYPT_COST);
    await users.createIndex({ emailKey: 1 }, { unique: true, name: 'email_unique' });
    await users.createIndex({ createdAt: 1, _id: 1 }, { name: 'by_created' });
    const first = await users.countDocuments({ email: /@bench\.example$/ });
    for (let from = first; from < count; from += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => {
        const n = from + i;
        const at = new Date(Date.UTC(2026, 0, 1) + n * 1000);
        const { id, role } = subject(n);
        return {
          _id: new mongoose.Types.ObjectId(id),
          ...newUser({ name: `User ${n}`, email: email(n), role, passwordHash, at }),
        };
      });
      await users.insertMany(batch, { ordered: false });
    }
  });
}

/** Sets a random password, hashed at `cost`, for `count` users from the n-th on. */
export async function setPasswords(
  uri: string,
  { from, count, cost }: { from: number; count: number; cost: number },
): Promise<void> {
  await withUsers(uri, async (users) => {
    const passwordHash = await bcrypt.hash(randomUUID(), cost);
    await users.updateMany(
      { email: { $in: Array.from({ length: count }, (_, n) => email(from + n)) } },
      { $set: { passwordHash } },
    );
  });
}

async function withUsers(
  uri: string,
  work: (users: Collection<UserDocument>) => Promise<void>,
): Promise<void> {
  const connection = await mongoose
    .createConnection(uri, { dbName: databaseName(uri), autoIndex: false })
    .asPromise();
  try {
    await work(connection.collection<UserDocument>('users'));
  } finally {
    await connection.close();
  }
}

const databaseName = (uri: string) =>
  new URL(uri.replace(/^mongodb(\+srv)?:\/\/[^/]+/, 'http://db')).pathname.slice(1) || 'test';
