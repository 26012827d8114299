import type { Connection } from 'mongoose';
import { parseConfig } from '../../../src/kernel/config/config';
import { ALL_PERMISSIONS } from '../../../src/kernel/permissions';
import {
  createRemovalOutbox,
  createRemovals,
  type Removals,
} from '../../../src/modules/privacy/removals';
import { announcingRemovals, type UserRepository } from '../../../src/modules/users/repository';
import { createUserOutbox, removedEvent } from '../../../src/modules/users/user-events';
import {
  createEventLog,
  EVENTS_COLLECTION,
  type EventLog,
  eventLogIndexes,
} from '../../../src/platform/event-log/event-log';
import { createMover } from '../../../src/platform/event-log/mover';
import { connectDatabase, type Database } from '../../../src/platform/mongo/connection';
import { quiet } from '../../support/cache-fixture';
import { uniqueEmail } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { lookAt } from '../../support/snapshots';
import { startUserHost, type UserHost } from '../../support/user-host';

const timeoutMs = 2000;
const actor = { userId: '0'.repeat(24), permissions: ALL_PERMISSIONS };
let mongo: TestMongo;
let database: Database;
let connection: Connection;
let log: EventLog;
let removals: Removals;
let host: UserHost;
/** Asked before each announcement of `host`. */
let beforeAnnouncing: (userId: string) => Promise<void> = async () => {};

beforeAll(async () => {
  mongo = await startTestMongo();
  database = await connectDatabase(mongo.uri, parseConfig({ NODE_ENV: 'test' }).database, quiet);
  ({ connection } = database);
  for (const { key, ...options } of eventLogIndexes.indexes)
    await connection.collection(EVENTS_COLLECTION).createIndex(key, options);
  log = createEventLog(connection, { timeoutMs });
  removals = createRemovals(connection, { timeoutMs });
  host = await startUserHost(mongo.uri, { timeoutMs, repository: announcing });
});
afterAll(async () => {
  await host?.close();
  await database?.close();
  await mongo?.close();
});

const announcing = (repository: UserRepository) =>
  announcingRemovals(repository, async (userId, events) => {
    await beforeAnnouncing(userId);
    await removals.announce(userId, events);
  });

/** `asked`: between the read of the announced removals and the answer who is gone. */
const moverWith = (asked: () => Promise<void> = async () => {}) =>
  createMover(log, [
    createUserOutbox(connection, { timeoutMs }),
    createRemovalOutbox(connection, {
      timeoutMs,
      async existing(ids) {
        await asked();
        return host.repository.existing(ids);
      },
    }),
  ]);

async function account(): Promise<string> {
  const id = host.repository.newId();
  const user = { id, email: uniqueEmail(), name: 'Ada', passwordHash: 'hash', role: 'user' };
  await host.repository.insert(user, new Date());
  return id;
}
const rename = (id: string, name: string) => host.users.change(actor, id, { name });
const eventsOf = async (id: string) =>
  (await log.ofSubject(id, 100)).map(({ type, revision }) => `${type} ${revision}`);
const removed = (id: string) =>
  host.users.remove(actor, id, undefined).then(
    () => 'removed',
    (error: { code?: string }) => error.code,
  );

/** Two removals of one user that both have seen it: the second goes on when `wait` resolves. */
function secondWaits(id: string, wait: Promise<void>) {
  let count = 0;
  let bothSaw = () => {};
  const seen = new Promise<void>((resolve) => {
    bothSaw = resolve;
  });
  beforeAnnouncing = async (userId) => {
    if (userId !== id) return;
    count += 1;
    const isSecond = count === 2;
    if (isSecond) bothSaw();
    await (isSecond ? wait : seen);
  };
}

test.each([true, false])(
  'of two removals at once the log has one event (moved in between: %s)',
  async (isMoved) => {
    const id = await account();
    const mover = moverWith();
    let goOn = () => {};
    const wait = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    secondWaits(id, wait);
    const both = [removed(id), removed(id)];
    expect(await Promise.race(both)).toBe('removed');
    if (isMoved) await mover.round();
    goOn();
    expect((await Promise.all(both)).sort()).toEqual(['removed', 'user_not_found']);
    while ((await mover.round()) > 0);
    expect(await eventsOf(id)).toEqual(['user.created 1', 'user.removed 2']);
  },
);

test('a removal announced late, on an early state, does not become the event', async () => {
  const id = await account();
  const early = await lookAt(host.repository, id);
  await rename(id, 'Grace');
  beforeAnnouncing = async () => {};
  expect(await removed(id)).toBe('removed');
  await removals.announce(id, [...early.pending, removedEvent(early, new Date())]);
  while ((await moverWith().round()) > 0);
  expect(await eventsOf(id)).toEqual(['user.created 1', 'user.updated 2', 'user.removed 3']);
});

test('no event comes after the removal that a change held up for one attempt', async () => {
  const id = await account();
  await moverWith().round();
  await rename(id, 'Grace');
  // Announced, and refused: the change below comes between.
  const early = await lookAt(host.repository, id);
  await removals.announce(id, [...early.pending, removedEvent(early, new Date())]);
  await rename(id, 'Barbara');
  beforeAnnouncing = async () => {};
  // The mover has read what was announced before, and asks whether the user is gone: it is now.
  let asked = 0;
  const mover = createMover(log, [
    createRemovalOutbox(connection, {
      timeoutMs,
      async existing(ids) {
        asked += 1;
        if (asked === 1) expect(await removed(id)).toBe('removed');
        return host.repository.existing(ids);
      },
    }),
  ]);
  while ((await mover.round()) > 0);
  expect(asked).toBeGreaterThan(0);
  expect(await eventsOf(id)).toEqual([
    'user.created 1',
    'user.updated 2',
    'user.updated 3',
    'user.removed 4',
  ]);
});

test('a removal that is refused tells nothing, and that which follows tells once', async () => {
  const id = await account();
  const early = await lookAt(host.repository, id);
  await removals.announce(id, [...early.pending, removedEvent(early, new Date())]);
  await moverWith().round();
  expect(await eventsOf(id)).toEqual(['user.created 1']);
  await rename(id, 'Grace');
  beforeAnnouncing = async () => {};
  expect(await removed(id)).toBe('removed');
  while ((await moverWith().round()) > 0);
  expect(await eventsOf(id)).toEqual(['user.created 1', 'user.updated 2', 'user.removed 3']);
});
