import { type Connection, createConnection, Types } from 'mongoose';
import {
  createEventLog,
  EVENTS_COLLECTION,
  type EventLog,
  eventLogIndexes,
  type NewEvent,
} from '../../../src/platform/event-log/event-log';
import { createMover } from '../../../src/platform/event-log/mover';
import { createOutboxSource } from '../../../src/platform/outbox/outbox-source';
import { pendingEvent } from '../../../src/platform/outbox/pending-event';
import { startTestMongo, type TestMongo } from '../../support/mongo';

let mongo: TestMongo;
let connection: Connection;
let log: EventLog;

beforeAll(async () => {
  mongo = await startTestMongo();
  connection = await createConnection(mongo.uri).asPromise();
  for (const { key, ...options } of eventLogIndexes.indexes)
    await connection.collection(EVENTS_COLLECTION).createIndex(key, options);
  log = createEventLog(connection, { timeoutMs: 5000 });
});
afterAll(async () => {
  await connection?.close();
  await mongo?.close();
});
beforeEach(async () => {
  await connection.collection(EVENTS_COLLECTION).deleteMany({});
  await connection.collection('things').deleteMany({});
});

const eventOf = (subject: string, revision = 1, at = new Date()): NewEvent => ({
  subject,
  ...pendingEvent('thing.changed', at, { revision }),
});
const all = () => log.read(0, { limit: 100_000 });

test('many writers at once make one sequence without gaps, each event once and in its order', async () => {
  const lists = Array.from({ length: 12 }, (_, n) =>
    Array.from({ length: 40 }, (_, i) => eventOf(`thing ${n}`, i + 1)),
  );
  // Each list is appended by two writers, as when a pump was suspended and goes on.
  await Promise.all([...lists, ...lists].map((list) => log.append(list)));
  const found = await all();
  expect(found.map(({ sequence }) => sequence)).toEqual(found.map((_, i) => i + 1));
  expect(found).toHaveLength(12 * 40);
  for (const [n, list] of lists.entries())
    expect(
      found.filter(({ subject }) => subject === `thing ${n}`).map(({ revision }) => revision),
    ).toEqual(list.map(({ revision }) => revision));
});

test('an event that is in the log already is left out, and those after it are not', async () => {
  const [first, second, third] = [eventOf('a', 1), eventOf('a', 2), eventOf('a', 3)] as const;
  await log.append([first, second]);
  await log.append([first, second, third]);
  expect((await all()).map(({ id }) => id)).toEqual([first.id, second.id, third.id]);
  expect(await log.sequenceOf(third.id)).toBe(3);
});

test('numbers are not used again after the old events were removed', async () => {
  const old = new Date(Date.now() - 60_000);
  await log.append([eventOf('a', 1, old), eventOf('a', 2, old)]);
  expect(await log.removeBefore(new Date(), 100)).toBe(1);
  expect([await log.oldest(), await log.latest()]).toEqual([2, 2]);
  await log.append([eventOf('b')]);
  expect([await log.oldest(), await log.latest()]).toEqual([2, 3]);
});

test('movers that work at once empty the outboxes and move each event once', async () => {
  const things = Array.from({ length: 30 }, () => ({
    _id: new Types.ObjectId(),
    outbox: [1, 2, 3].map((revision) => pendingEvent('thing.changed', new Date(), { revision })),
  }));
  await connection.collection('things').insertMany(things);
  const movers = Array.from({ length: 4 }, () =>
    createMover(log, [
      createOutboxSource(connection, {
        collection: 'things',
        timeoutMs: 5000,
        idOf: (subject) => new Types.ObjectId(subject),
      }),
    ]),
  );
  await Promise.all(movers.map((mover) => mover.round()));
  expect(await movers[0]?.round()).toBe(0);
  const found = await all();
  expect(found).toHaveLength(90);
  for (const { _id } of things)
    expect(
      found.filter(({ subject }) => subject === String(_id)).map(({ revision }) => revision),
    ).toEqual([1, 2, 3]);
});

test('a mover that died between the two steps: the next one moves nothing twice', async () => {
  const outbox = [1, 2].map((revision) => pendingEvent('thing.changed', new Date(), { revision }));
  const _id = new Types.ObjectId();
  await connection.collection('things').insertOne({ _id, outbox });
  await log.append(outbox.map((event) => ({ ...event, subject: String(_id) })));
  const source = createOutboxSource(connection, {
    collection: 'things',
    timeoutMs: 5000,
    idOf: (subject) => new Types.ObjectId(subject),
  });
  await createMover(log, [source]).round();
  expect(await all()).toHaveLength(2);
  expect((await connection.collection('things').findOne({ _id }))?.['outbox']).toEqual([]);
});
