import { type Connection, createConnection, Types } from 'mongoose';
import { createUserModel, type UserDocument, userIndexes } from '../../src/modules/users/model';
import { newDocument } from '../../src/modules/users/new-document';
import type { IndexedCollection } from '../../src/platform/mongo/indexed-collection';
import { ensureIndexes } from '../../src/platform/mongo/indexes';
import { createLogger } from '../../src/platform/telemetry/logger';
import { startTestMongo } from './mongo';

const FIRST = ['Maria', 'José', 'Ada', 'Anna', 'Zoë', 'Émile', 'Li', 'Adam', 'Olga', 'Ștefan'];
const LAST = ['García', 'Müller', 'Lovelace', 'Anders-Smith', 'Nguyen', 'Ødegaard', 'Ada'];
const MINUTE_MS = 60_000;
const START = Date.UTC(2020, 0, 1);

/**
 * User `n` as a large service has them: few names for many users, imports of 500 at one moment,
 * 1 % with a role, a wave of banned accounts among single ones, a third that never logged in.
 */
export function someUser(n: number): UserDocument {
  // A multiplication spreads the numbers; the result is the same in every run.
  const spread = Math.imul(n, 2_654_435_761) >>> 0;
  const name = `${FIRST[spread % FIRST.length]} ${LAST[(spread >>> 4) % LAST.length]}`;
  const isImported = Math.floor(n / 500) % 4 === 0;
  const minute = isImported ? n - (n % 500) : n;
  const now = new Date(START + minute * MINUTE_MS);
  const role = n % 100 === 7 ? 'support' : n % 400 === 9 ? 'admin' : 'user';
  const email = `${name.split(' ')[0]?.normalize('NFD').replaceAll(/\W/g, '')}.${n}@example.org`;
  const id = new Types.ObjectId(
    Math.floor(now.getTime() / 1000).toString(16) + spread.toString(16).padStart(16, '0'),
  ).toHexString();
  return {
    ...newDocument({ id, name, email, passwordHash: 'none', role }, now),
    outbox: [],
    emailVerified: spread % 7 > 0,
    status: n % 300 === 1 || (n > 40_000 && n < 40_400) ? 'banned' : 'active',
    ...(n % 3 === 0 ? {} : { lastLoginAt: new Date(START + (spread % 1_000_000) * MINUTE_MS) }),
    ...(n % 10 === 0 ? { externalId: `crm-${n}` } : {}),
    ...(n % 5 === 0 ? { appMetadata: { plan: n % 3 === 0 ? 'pro' : n % 3 === 1 ? 5 : '5' } } : {}),
  } as UserDocument;
}

export interface ManyUsers {
  readonly connection: Connection;
  close(): Promise<void>;
}

/** A database of its own with so many users. The indexes are built afterwards: that is faster. */
export async function startManyUsers(
  count: number,
  more: IndexedCollection['indexes'] = [],
): Promise<ManyUsers> {
  const mongo = await startTestMongo();
  const connection = await createConnection(mongo.uri).asPromise();
  const users = createUserModel(connection);
  // What the model refuses is not a user: the documents cannot drift from it.
  for (let n = 0; n < 100; n += 1) await new users(someUser(n)).validate();
  const batch = 5000;
  for (let from = 0; from < count; from += batch) {
    const some = Array.from({ length: Math.min(batch, count - from) }, (_, i) =>
      someUser(from + i),
    );
    await users.collection.insertMany(some, { ordered: false });
  }
  const { collection, indexes } = userIndexes;
  await ensureIndexes(
    connection,
    [{ collection, indexes: [...indexes, ...more] }],
    createLogger({ level: 'silent' }),
  );
  return {
    connection,
    async close() {
      await connection.close();
      await mongo.close();
    },
  };
}
