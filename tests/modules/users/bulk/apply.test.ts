import { createConnection } from 'mongoose';
import { ALL_PERMISSIONS, createPolicy } from '../../../../src/kernel/permissions';
import { createApply } from '../../../../src/modules/users/bulk/apply';
import type { TakenRow } from '../../../../src/modules/users/bulk/rows';
import type { ApplyContext } from '../../../../src/modules/users/bulk/write-rows';
import { createUserModel } from '../../../../src/modules/users/model';
import { newDocument } from '../../../../src/modules/users/new-document';
import type { Cache } from '../../../../src/platform/cache/port';
import { createJobStore } from '../../../../src/platform/jobs/job-store';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

let mongo: TestMongo;
let connection: Awaited<ReturnType<ReturnType<typeof createConnection>['asPromise']>>;

beforeAll(async () => {
  mongo = await startTestMongo();
  connection = await createConnection(mongo.uri).asPromise();
});
afterAll(async () => {
  await connection?.close();
  await mongo?.close();
});

const store = () =>
  createJobStore(connection, { leaseMs: 60_000, activeMax: 10, keepMs: 60_000, timeoutMs: 2000 });

/** `afterWrites`: between the writes of a batch and the look at what became of them. */
const applyWith = (afterWrites: () => Promise<unknown> = async () => undefined) =>
  createApply({
    users: createUserModel(connection),
    cache: {
      async write<T>(_groups: readonly string[], work: () => Promise<T>) {
        const result = await work();
        await afterWrites();
        return result;
      },
    } as unknown as Cache,
    ...{ policy: createPolicy(), indexed: [], noPassword: 'none', now: Date.now },
    activeJobs: store().active,
    removedAmong: async () => new Set(),
    tokensEnded: async () => undefined,
    cleanUp: async () => undefined,
    emit: () => undefined,
    stored: async () => undefined,
  });

async function contextOf(): Promise<ApplyContext> {
  const { id: job } = await store().receive({ kind: 'test', actor: 'cli:test', params: {} });
  const actor = { userId: 'cli:test', permissions: ALL_PERMISSIONS };
  const order = { format: 'ndjson', conflict: 'update', match: 'email', dryRun: false } as const;
  return {
    ...{ job, actor, at: new Date(), timeoutMs: 2000, assertHeld: () => undefined },
    order: { ...order, actor: { userId: 'cli:test', permissions: [], isService: false } },
  };
}

const users = () => connection.collection('users');
const rowOf = (name: string): TakenRow => ({
  ...{ line: 1, email: 'ada@example.org', name, metadata: {}, json: '{}' },
});

test('an import that comes right after the write of another one is not written over', async () => {
  const id = createUserModel(connection).base.Types.ObjectId.createFromTime(0).toHexString();
  const user = { id, name: 'Before', email: 'ada@example.org', passwordHash: 'x', role: 'user' };
  await createUserModel(connection).collection.insertOne(newDocument(user, new Date()));
  const [first, second] = [await contextOf(), await contextOf()];
  let times = 0;
  const other = async () => {
    times += 1;
    if (times === 1) await applyWith()([rowOf('Second')], second);
  };
  const { counts } = await applyWith(other)([rowOf('First')], first);
  expect([times, counts.updated]).toEqual([1, 1]);
  expect(await users().findOne()).toMatchObject({ name: 'Second', rev: 3 });
});
