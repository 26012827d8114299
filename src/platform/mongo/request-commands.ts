import type { Connection, mongo } from 'mongoose';
import { currentWork, timed } from '../telemetry/request-work';

/** Methods that send one command or more, and the position of their options. */
const COMMANDS = {
  insertOne: 1,
  bulkWrite: 1,
  updateOne: 2,
  updateMany: 2,
  replaceOne: 2,
  deleteOne: 1,
  deleteMany: 1,
  findOneAndUpdate: 2,
  findOneAndDelete: 1,
  findOneAndReplace: 2,
  distinct: 2,
  estimatedDocumentCount: 0,
} as const;
/** Methods that make a cursor. findOne, countDocuments and insertMany go through these methods. */
const CURSORS = { find: 1, aggregate: 1 } as const;

/** All methods of a collection that send a command by themselves. */
export const SENDING_METHODS: readonly string[] = Object.keys({ ...COMMANDS, ...CURSORS });

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Asked = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/**
 * Every command on behalf of a request carries the request's id as its comment, for MongoDB's log
 * and profiler, and the wait for it is counted to the request. For all collections of this
 * connection that are opened after it. The driver has no hook before a command, so its public
 * methods are wrapped (docs/adr/0017-public-interfaces.md).
 */
export function followRequests({ db }: Connection): void {
  if (db === undefined) throw new Error('the database is not connected');
  const open = db.collection.bind(db);
  let followed: object | undefined;
  db.collection = ((...args: Parameters<mongo.Db['collection']>) => {
    const collection = open(...args);
    followed ??= followedMethods(Object.getPrototypeOf(collection));
    return Object.setPrototypeOf(collection, followed) as mongo.Collection;
  }) as mongo.Db['collection'];
}

/** The driver's methods, each replaced by one that adds the comment. */
function followedMethods(driver: Record<string, Method>): object {
  const methods: Record<string, Method> = Object.create(driver);
  for (const [name, position] of Object.entries(COMMANDS)) {
    const original = driver[name] as Asked;
    methods[name] = function (...args) {
      return timed('mongodb', () => original.apply(this, commented(args, position)));
    };
  }
  for (const [name, position] of Object.entries(CURSORS)) {
    const original = driver[name] as Method;
    methods[name] = function (...args) {
      return timedCursor(original.apply(this, commented(args, position)));
    };
  }
  return methods;
}

/** A request id has at most 128 characters, and none that needs escaping (http/context.ts). */
function commented(args: readonly unknown[], position: number): unknown[] {
  const work = currentWork();
  if (work === undefined) return [...args];
  const given = [...args];
  given[position] = { comment: work.id, ...(args[position] as object | undefined) };
  return given;
}

/** All ways to read a cursor use `next`. */
function timedCursor(cursor: unknown): unknown {
  if (currentWork() === undefined) return cursor;
  const read = cursor as { next(): Promise<unknown> };
  const next = read.next.bind(read);
  read.next = () => timed('mongodb', next);
  return cursor;
}
