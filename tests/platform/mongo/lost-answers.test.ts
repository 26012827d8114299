import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, createConnection } from 'mongoose';
import { type MongoProxy, startMongoProxy } from '../../../faults/mongo-proxy';
import { createIdempotencyStore } from '../../../src/platform/http/idempotency-store';
import { createLocks } from '../../../src/platform/mongo/locks';
import { eventually } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';

const TTL_MS = 60_000;
const FINGERPRINT = Buffer.from('the content');
let mongo: TestMongo;
let proxy: MongoProxy;
let losing: Awaited<ReturnType<typeof startLosing>>;
let connection: Connection;

beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  losing = await startLosing(proxy.uri);
  connection = await createConnection(losing.uri).asPromise();
});
afterAll(async () => {
  await connection?.close();
  await losing?.close();
  await proxy?.close();
  await mongo?.close();
});

/** Loses the answers to the claims, and their connections, while it is on. */
async function startLosing(uri: string) {
  const [, port = ''] = /:(\d+)/.exec(uri) ?? [];
  const sockets = new Set<Socket>();
  const state = { isOn: false, lost: 0 };
  const server = createServer((near) => {
    const far = connect(Number(port), '127.0.0.1');
    let isClaim = false;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    }
    near.on('data', (chunk) => {
      isClaim = chunk.includes('findAndModify');
      far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (!state.isOn || !isClaim) return near.write(chunk);
      state.lost += 1;
      return near.destroy();
    });
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const own = (server.address() as { port: number }).port;
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return Object.assign(state, { uri: uri.replace(`:${port}`, `:${own}`), close });
}

async function withoutAnswers(work: () => Promise<unknown>): Promise<void> {
  losing.isOn = true;
  losing.lost = 0;
  await expect(work()).rejects.toThrow();
  losing.isOn = false;
  expect(losing.lost).toBeGreaterThan(0);
}

const locksOf = () => createLocks(connection, { ttlMs: TTL_MS, timeoutMs: 5000 });
const isFreeSoon = (name: string) =>
  eventually(
    `the lock ${name}`,
    () =>
      locksOf()
        .withLock(name, async () => true)
        .catch(() => false),
    5000,
  );

test('a lock that is granted after its caller has given up is free soon', async () => {
  proxy.holdFrom('findAndModify');
  const work = async () => 'not reached';
  await expect(locksOf().withLock('late', work, 200)).rejects.toThrow('took longer');
  expect(proxy.isHolding()).toBe(true);
  proxy.release();
  // The database has granted it by then.
  await delay(500);
  await isFreeSoon('late');
});

test('a lock that is granted by an answer that was lost is free soon', async () => {
  await withoutAnswers(() => locksOf().withLock('lost', async () => 'not reached'));
  await isFreeSoon('lost');
});

test('a claim of an Idempotency-Key whose answer was lost is taken over soon, with its id', async () => {
  const options = { leaseMs: TTL_MS, longestMs: TTL_MS, abandonedSeconds: 60, timeoutMs: 5000 };
  const store = createIdempotencyStore(connection, options);
  await withoutAnswers(() => store.claim('key', FINGERPRINT));
  const claimed = await connection.collection('idempotency').findOne({});
  const again = await eventually(
    'the claim',
    async () => {
      const claim = await store.claim('key', FINGERPRINT);
      return claim.kind === 'granted' && claim;
    },
    5000,
  );
  expect(again.newId).toMatch(/^[0-9a-f]{24}$/);
  expect(again.newId).toBe(claimed?.['newId']);
});
