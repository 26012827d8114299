import { setTimeout as delay } from 'node:timers/promises';
import { Schema } from 'mongoose';
import { type MongoProxy, startMongoProxy } from '../../../faults/mongo-proxy';
import { parseConfig } from '../../../src/kernel/config/config';
import { connectDatabase, type Database } from '../../../src/platform/mongo/connection';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { eventually } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';

const MOST_ROUNDS = 60;
const ROUNDS_OF_STREAMS = 5;
let mongo: TestMongo;
let proxy: MongoProxy;
let database: Database;
let lines: string[];

beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  lines = [];
  const settings = parseConfig({
    NODE_ENV: 'test',
    DB_SERVER_SELECTION_TIMEOUT_MS: '300',
    DB_OPERATION_TIMEOUT_MS: '300',
    DB_POOL_MIN: '5',
  }).database;
  const log = createLogger({ level: 'info' }, { write: (line) => void lines.push(line) });
  database = await connectDatabase(proxy.uri, settings, log);
});
afterAll(async () => {
  await database?.close();
  await proxy?.close();
  await mongo?.close();
});

const reopened = () => lines.filter((line) => line.includes('MongoDB connections reopened')).length;

/** The server closes all connections at once while commands are under way, then is back. */
async function restartOfTheServer(): Promise<void> {
  const { connection } = database;
  let isOver = false;
  // The next command asks the driver for a check of the server in the same turn of the event loop.
  const busy = Array.from({ length: 10 }, async () => {
    while (!isOver)
      await connection
        .collection('any')
        .findOne()
        .catch(() => undefined);
  });
  // The driver checks a server at most twice a second.
  await delay(600);
  proxy.refuse();
  await delay(0);
  const stalledUntil = performance.now() + 50;
  // A busy event loop reads the ends of all connections in one turn.
  while (performance.now() < stalledUntil);
  await delay(300);
  isOver = true;
  await Promise.all(busy);
  proxy.pass();
}

test('the database is used again after each restart, also when a check of it never ended', async () => {
  const hello = await database.connection.db?.admin().command({ hello: 1 });
  const Any = database.connection.model('Any', new Schema({}));
  const isPolled = hello?.['topologyVersion'] === undefined;
  for (let round = 0; round < MOST_ROUNDS && reopened() < 2; round += 1) {
    await restartOfTheServer();
    await eventually(`the database, round ${round}`, () => database.ping(1000), 10_000);
    expect(await Any.findOne({}).lean()).toBeNull();
    if (!isPolled && round === ROUNDS_OF_STREAMS) return;
  }
  // Else the driver has mended it, and src/platform/mongo/monitor-watch.ts can go.
  expect(reopened()).toBe(2);
}, 180_000);
