import { type Connection, createConnection } from 'mongoose';
import { startPump } from '../../../src/modules/events/pump';
import { eventsAfter } from '../../../src/modules/events/reading';
import { createEventStream } from '../../../src/modules/events/stream';
import { createTail } from '../../../src/modules/events/tail';
import {
  createEventLog,
  EVENTS_COLLECTION,
  type EventLog,
  eventLogIndexes,
} from '../../../src/platform/event-log/event-log';
import { BATCH, createMover } from '../../../src/platform/event-log/mover';
import { createLocks } from '../../../src/platform/mongo/locks';
import { pendingEvent } from '../../../src/platform/outbox/pending-event';
import { quiet } from '../../support/cache-fixture';
import { eventually } from '../../support/http';
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
});

const AGO = new Date(Date.now() - 86_400_000);
const subject = '652f1c3e9b1d4a0012ab34cd';
const append = (count: number, at = AGO) =>
  log.append(
    Array.from({ length: count }, () => ({ ...pendingEvent('user.updated', at), subject })),
  );

/** A purge takes the oldest `count` events between two steps of a reader. */
function purgedBetween(step: 'before the read' | 'after the read', count: number): EventLog {
  let isDone = false;
  const purge = async () => {
    if (!isDone) await log.removeBefore(new Date(), count);
    isDone = true;
  };
  return {
    ...log,
    async read(after, options) {
      if (step === 'before the read') await purge();
      const found = await log.read(after, options);
      if (step === 'after the read') await purge();
      return found;
    },
  };
}

test.each(['before the read', 'after the read'] as const)(
  'a reader that a purge overtakes is told: %s',
  async (step) => {
    await append(10);
    expect(await eventsAfter(purgedBetween(step, 4), 2, { limit: 5 })).toBeUndefined();
    await append(4);
    // One that has read what was removed goes on.
    const page = await eventsAfter(purgedBetween(step, 2), 6, { limit: 3 });
    expect(page?.found.map(({ sequence }) => sequence)).toEqual([7, 8, 9]);
    expect(page).toMatchObject({ hasMore: true, seen: 9 });
  },
);

test('a stream ends where it would pass over events', async () => {
  await append(10);
  const eventLog = purgedBetween('before the read', 4);
  const stream = createEventStream({
    ...{ eventLog, tail: createTail(log), streamsMax: 1 },
    ...{ draining: () => false, issuer: 'http://auth.example.test' },
  });
  const sent: string[] = [];
  const request = { after: 2, types: undefined, forSeconds: 20 };
  const { signal } = new AbortController();
  const texts = stream({ ...request, isAllowed: async () => true, closed: signal });
  for await (const text of texts) sent.push(text);
  expect(sent.filter((text) => text.includes('data: '))).toEqual([]);
});

test('expired events are removed without a pause, however many they are', async () => {
  await append(11_000);
  await append(1, new Date());
  const pump = startPump({
    ...{ mover: createMover(log, []), anyPending: async () => false, eventLog: log, log: quiet },
    locks: createLocks(connection, { ttlMs: 3000, timeoutMs: 5000 }),
    ...{ keepMs: 3_600_000, restMs: () => 0, now: Date.now },
  });
  try {
    await eventually('one event', async () => (await log.oldest()) === 11_001, 40_000);
  } finally {
    await pump.close();
  }
}, 90_000);

test('between two whole batches the pump rests while requests are answered', async () => {
  const roundsMs: number[] = [];
  const took: number[] = [];
  const mover = {
    async round() {
      roundsMs.push(performance.now());
      return roundsMs.length < 3 ? BATCH : 0;
    },
  };
  const restMs = (tookMs: number, times: number) => {
    took.push(tookMs);
    return 200 * times;
  };
  const pump = startPump({
    ...{ mover, anyPending: async () => roundsMs.length < 3, eventLog: log, log: quiet },
    locks: createLocks(connection, { ttlMs: 3000, timeoutMs: 5000 }),
    ...{ keepMs: 3_600_000, restMs, now: Date.now },
  });
  try {
    await eventually('three rounds', async () => roundsMs.length >= 3, 20_000);
  } finally {
    await pump.close();
  }
  const [first = 0, second = 0] = roundsMs;
  expect(second - first).toBeGreaterThanOrEqual(199);
  expect(took).toHaveLength(2);
});
