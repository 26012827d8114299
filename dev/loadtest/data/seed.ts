import { type Collection, type Connection, type mongo, Types } from 'mongoose';
import type { Config } from '../../../src/kernel/config/config';
import { createHashAlgorithm, hashSettings } from '../../../src/modules/auth';
import {
  EXTERNAL_ID_INDEX,
  USERS_COLLECTION,
  type UserDocument,
} from '../../../src/modules/users/model';
import { documentOf, fillPipeline, type Template, templatesOf } from './templates';
import { ADMIN, ID_RANGE, numberOf, PASSWORD } from './users';

/** So many different password hashes: a hash takes longer than a thousand users. */
const HASHES = 8;
/** Users that the database makes in one command. */
const BATCH = 20_000;
const AT_ONCE = 2;
const TEMPLATES_COLLECTION = 'loadtest_templates';
const REMOVAL_BATCH = 1000;

export const seededRange = {
  $gte: new Types.ObjectId(ID_RANGE[0]),
  $lte: new Types.ObjectId(ID_RANGE[1]),
};

type Progress = (done: number, total: number) => void;

/** How many users are seeded: they are numbered without gaps. */
export async function seededCount(connection: Connection): Promise<number> {
  const users = connection.collection<UserDocument>(USERS_COLLECTION);
  const last = users.find({ _id: seededRange }, { projection: { _id: 1 } });
  const [found] = await last.sort({ _id: -1 }).limit(1).toArray();
  return found === undefined ? 0 : numberOf(found._id.toHexString()) + 1;
}

export interface Course {
  readonly progress?: Progress;
  /** Stops between two batches, with what is stored so far. */
  readonly signal?: AbortSignal;
}

/**
 * Fills the seeded users up to `count`. Documents are those of the users module. Resolves with the
 * number of new ones.
 */
export async function seedUsers(
  connection: Connection,
  config: Config,
  count: number,
  { progress = () => {}, signal }: Course = {},
): Promise<number> {
  const algorithm = createHashAlgorithm(hashSettings(config));
  const hashes = await Promise.all(Array.from({ length: HASHES }, () => algorithm.hash(PASSWORD)));
  const users = connection.collection<UserDocument>(USERS_COLLECTION);
  const present = await users.countDocuments({ _id: seededRange });
  await storeAdmin(users);
  // An earlier run that was interrupted left gaps.
  const hasGaps = Math.max(1, present) < (await seededCount(connection));
  const whenMatched = hasGaps ? 'keepExisting' : 'fail';
  const templates = connection.collection<Template>(TEMPLATES_COLLECTION);
  await templates.deleteMany({});
  await templates.insertMany(templatesOf(hashes));
  let next = hasGaps ? 0 : Math.max(1, present);
  let done = next;
  async function fillBatches(): Promise<void> {
    while (next < count && signal?.aborted !== true) {
      const from = next;
      next = Math.min(count, from + BATCH);
      const to = next;
      const pipeline = fillPipeline(from, to, USERS_COLLECTION, whenMatched);
      // The journal is waited for once, at the end.
      await templates.aggregate(pipeline, { writeConcern: { w: 1, journal: false } }).toArray();
      done += to - from;
      progress(done, count);
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, fillBatches));
  } finally {
    await templates.drop();
  }
  // A journaled write after the others: they are durable with it.
  await storeAdmin(users);
  return (await users.countDocuments({ _id: seededRange })) - present;
}

/**
 * Without a password: that of the others is known to everybody. Also of an administrator that an
 * earlier version has stored with it.
 */
async function storeAdmin(users: Collection<UserDocument>): Promise<void> {
  const { _id, role, passwordHash, updatedAt: _, ...rest } = documentOf(ADMIN, []);
  const $set = { role, passwordHash, updatedAt: new Date() };
  await users.updateOne({ _id }, { $set, $setOnInsert: rest }, { upsert: true });
}

/** Below so many users the indexes are not worth it. */
const MANY = 20_000;
const KEPT = new Set(['_id_', 'email_unique', EXTERNAL_ID_INDEX]);

/**
 * Drops the indexes of the list where most users will be new: building them afterwards takes a
 * third of the time. The caller builds them (`ensureIndexes`), also after a failure.
 */
export async function dropListIndexes(connection: Connection, count: number): Promise<boolean> {
  const users = connection.collection<UserDocument>(USERS_COLLECTION);
  const present = await users.estimatedDocumentCount();
  const isWorthIt = count - (await seededCount(connection)) >= Math.max(MANY, present);
  if (!isWorthIt || present === 0) return isWorthIt;
  for (const { name } of await users.listIndexes().toArray())
    if (!KEPT.has(name)) await users.dropIndex(name);
  return true;
}

/**
 * Removes the seeded users and every document about them. Past the caches: a running service may
 * show one until its cache entry expires.
 */
export async function removeSeeded(
  connection: Connection,
  { progress = () => {}, signal }: Course = {},
): Promise<number> {
  const { db } = connection;
  if (db === undefined) throw new Error('not connected');
  const text = { $gte: ID_RANGE[0], $lte: ID_RANGE[1] };
  for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray()) {
    if (name === USERS_COLLECTION || name.startsWith('system.')) continue;
    for (const owner of ['userId', 'subject'])
      await removeAll(db.collection(name), { [owner]: text }, { signal });
  }
  const count = await seededCount(connection);
  const users = db.collection(USERS_COLLECTION);
  const course = { signal, progress: (done: number) => progress(done, count) };
  return removeAll(users, { _id: seededRange }, course);
}

interface RemovalCourse {
  readonly progress?: (done: number) => void;
  readonly signal: AbortSignal | undefined;
}

/** In batches, each of which a database ends in time. */
async function removeAll(
  collection: mongo.Collection,
  filter: mongo.Filter<mongo.BSON.Document>,
  { progress = () => {}, signal }: RemovalCourse,
): Promise<number> {
  for (let done = 0; ; progress(done)) {
    if (signal?.aborted === true) return done;
    const found = collection.find(filter, { projection: { _id: 1 } }).limit(REMOVAL_BATCH);
    const ids = (await found.toArray()).map(({ _id }) => _id);
    if (ids.length === 0) return done;
    await collection.deleteMany({ _id: { $in: ids } });
    done += ids.length;
  }
}
