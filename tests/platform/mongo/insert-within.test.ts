import { setTimeout as sleep } from 'node:timers/promises';
import { type MongoProxy, startMongoProxy } from '../../../faults/mongo-proxy';
import { parseConfig } from '../../../src/kernel/config/config';
import { toProblem } from '../../../src/platform/http/to-problem';
import { connectDatabase, type Database } from '../../../src/platform/mongo/connection';
import { insertWithin } from '../../../src/platform/mongo/insert-within';
import { quiet } from '../../support/cache-fixture';
import { startTestMongo, type TestMongo } from '../../support/mongo';

const TIMEOUT_MS = 400;
let mongo: TestMongo;
let proxy: MongoProxy;
let database: Database;

beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  const settings = parseConfig({ NODE_ENV: 'test', MONGODB_URI: proxy.uri }).database;
  const bounded = { ...settings, operationTimeoutMs: TIMEOUT_MS };
  database = await connectDatabase(proxy.uri, bounded, quiet);
});
afterEach(async () => {
  proxy.pass();
  await rows().deleteMany({});
});
afterAll(async () => {
  await database?.close();
  await proxy?.close();
  await mongo?.close();
});

interface Row {
  readonly _id: string;
  readonly name: string;
}
const rows = () => database.connection.collection<Row>('few');
const limit = { filter: {}, max: 2, timeoutMs: TIMEOUT_MS, now: Date.now };
const insert = (_id: string, name = '$name') => insertWithin(rows(), { _id, name }, limit);
const failed = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

test('as many are inserted as may be, as they are', async () => {
  expect([await insert('a'), await insert('b'), await insert('c')]).toEqual([true, true, false]);
  expect(await rows().find().toArray()).toEqual([
    { _id: 'a', name: '$name' },
    { _id: 'b', name: '$name' },
  ]);
  await Promise.all([...'defghi'].map((id) => insert(id)));
  expect(await rows().countDocuments()).toBe(2);
});

test('an insert that was held up on the wire has no effect when it arrives', async () => {
  await rows().countDocuments();
  proxy.holdConnectionOf('held-up');
  expect(await failed(insert('a', 'held-up'))).toBeDefined();
  expect(proxy.isHolding()).toBe(true);
  proxy.release();
  await sleep(300);
  expect(await rows().countDocuments()).toBe(0);
});

test('one whose answer is lost is removed', async () => {
  await rows().countDocuments();
  const work = failed(insert('a', 'lost-answer'));
  proxy.loseAnswerOf('lost-answer');
  await sleep(TIMEOUT_MS / 2);
  proxy.pass();
  expect(await work).toMatchObject({ name: 'MongoNetworkTimeoutError' });
  expect(await rows().countDocuments()).toBe(0);
});

test('one that cannot be removed may be there, and the error says so', async () => {
  await rows().countDocuments();
  proxy.loseAnswerOf('no-answer');
  expect(await failed(insert('a', 'no-answer'))).toMatchObject({ code: 'write_unconfirmed' });
});

test('one that comes after its time is 503, and no document', async () => {
  const late = { ...limit, now: () => Date.now() - 60_000 };
  const error = await failed(insertWithin(rows(), { _id: 'a', name: 'late' }, late));
  expect(error).toMatchObject({ name: 'DatabaseTimeoutError' });
  expect(toProblem(error)).toMatchObject({ status: 503, code: 'database_unavailable' });
  expect(await rows().countDocuments()).toBe(0);
});

test('one too many that cannot be removed may be there, and the error says so', async () => {
  await Promise.all([insert('a'), insert('b')]);
  // The name of a command in BSON: the type, the name, a zero.
  proxy.loseAnswerOf('\u0002delete\u0000');
  const error = await failed(insert('c'));
  expect(error).toMatchObject({ status: 503, code: 'write_unconfirmed' });
});
