import { type Connection, createConnection, Types } from 'mongoose';
import { createPendingAccountEnds } from '../../../src/modules/auth/service-accounts/pending-ends';
import { createUserModel } from '../../../src/modules/users/model';
import { createPendingEnds } from '../../../src/modules/users/pending-ends';
import { createUserRepository } from '../../../src/modules/users/repository';
import {
  createEventLog,
  EVENTS_COLLECTION,
  type EventLog,
  eventLogIndexes,
} from '../../../src/platform/event-log/event-log';
import { exactReads } from '../../../src/platform/mongo/exact-reads';
import { createOutboxSource } from '../../../src/platform/outbox/outbox-source';
import { pendingEvent } from '../../../src/platform/outbox/pending-event';
import { startTestMongo, type TestMongo } from '../../support/mongo';

const timeoutMs = 5000;
let mongo: TestMongo;
/** As the service connects to a replica set, and to a standalone server. */
let majority: Watched;
let alone: Watched;

interface Watched {
  readonly connection: Connection;
  readonly log: EventLog;
  /** `command: level of the read concern` of the reads that the work has sent. */
  readsOf(work: () => Promise<unknown>): Promise<string[]>;
}

async function watched(w: 1 | 'majority'): Promise<Watched> {
  const options = { monitorCommands: true, writeConcern: { w, journal: true } } as const;
  const connection = await createConnection(mongo.uri, options).asPromise();
  const reads: string[] = [];
  connection.getClient().on('commandStarted', ({ commandName, command }) => {
    if (!['find', 'aggregate', 'count', 'distinct'].includes(commandName)) return;
    const { level = 'none' } = (command['readConcern'] ?? {}) as { level?: string };
    reads.push(`${commandName}: ${level}`);
  });
  return {
    connection,
    log: createEventLog(connection, { timeoutMs }),
    async readsOf(work) {
      reads.length = 0;
      await work();
      return [...reads];
    },
  };
}

beforeAll(async () => {
  mongo = await startTestMongo();
  majority = await watched('majority');
  alone = await watched(1);
  for (const { key, ...options } of eventLogIndexes.indexes)
    await majority.connection.collection(EVENTS_COLLECTION).createIndex(key, options);
});
afterAll(async () => {
  await majority?.connection.close();
  await alone?.connection.close();
  await mongo?.close();
});

const eventOf = (subject: string) => ({
  ...pendingEvent('thing.changed', new Date(0), { revision: 1 }),
  subject,
});
const sourceOf = ({ connection }: Watched) =>
  createOutboxSource(connection, {
    ...{ collection: 'things', timeoutMs },
    idOf: (subject) => new Types.ObjectId(subject),
  });
const usersOf = ({ connection }: Watched) => createUserModel(connection);

const readers: Readonly<Record<string, (on: Watched) => Promise<unknown>>> = {
  read: ({ log }) => log.read(0, { limit: 10 }),
  latest: ({ log }) => log.latest(),
  oldest: ({ log }) => log.oldest(),
  sequenceOf: ({ log }) => log.sequenceOf('6b08c3a1fd17d31180748f48'),
  ofSubject: ({ log }) => log.ofSubject('a', 10),
  removeBefore: ({ log }) => log.removeBefore(new Date(1), 10),
  'the pending events of documents': (on) => sourceOf(on).pending(10),
  'the users who are gone': (on) =>
    createUserRepository(usersOf(on), { timeoutMs }).existing([new Types.ObjectId().toHexString()]),
  'the ended tokens of users': (on) =>
    createPendingEnds(usersOf(on), { timeoutMs }).read(undefined, 10),
  'the ended tokens of service accounts': (on) =>
    createPendingAccountEnds(() => on.connection.collection('service_accounts') as never, {
      ...{ timeoutMs, exact: () => exactReads(on.connection, timeoutMs) },
    }).read(undefined, 10),
};

test.each(Object.keys(readers))('%s: of what a majority has', async (name) => {
  await majority.log.append([eventOf('a'), eventOf('b'), eventOf('c')]);
  const reads = await majority.readsOf(async () => readers[name]?.(majority));
  expect(reads.length).toBeGreaterThan(0);
  expect(new Set(reads)).toEqual(new Set(['find: majority']));
  expect(new Set(await alone.readsOf(async () => readers[name]?.(alone)))).toEqual(
    new Set(['find: none']),
  );
});

test('the search for the next number sees numbers that a majority does not have yet', async () => {
  const appended = () => majority.log.append([eventOf('a')]);
  expect(await majority.readsOf(appended)).toEqual(['find: none']);
  const { log } = majority;
  expect(await majority.readsOf(() => log.reached())).toEqual(['find: none']);
  expect(await log.reached()).toBe(await log.latest());
});
