import { setTimeout as delay } from 'node:timers/promises';
import mongoose, { type Connection } from 'mongoose';
import { createClient as connectRedis } from 'redis';
import { parseConfig } from '../../../src/kernel/config/config';
import type { Closable } from '../../../src/kernel/lifecycle';
import { startRedisStream } from '../../../src/modules/events/redis-stream';
import { createTail } from '../../../src/modules/events/tail';
import {
  createEventLog,
  type EventLog,
  eventLogIndexes,
} from '../../../src/platform/event-log/event-log';
import { ensureIndexes } from '../../../src/platform/mongo/indexes';
import type { Locks } from '../../../src/platform/mongo/locks';
import { pendingEvent } from '../../../src/platform/outbox/pending-event';
import { openRedisConnection } from '../../../src/platform/redis/open-connection';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { startTestService } from '../../support/app';
import { createClient, eventually, login, register } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { describeWithRedis, startTestRedis, type TestRedis } from '../../support/redis';

/** Every process works at once: the stream must not rest on the lock. */
const noLocks: Pick<Locks, 'withLock'> = { withLock: (_name, work) => work(new Date()) };
const KEY = 'test:events';

describeWithRedis('the Redis Stream of events', () => {
  let mongo: TestMongo;
  let connection: Connection;
  let redis: TestRedis;
  let ask: ReturnType<typeof connectRedis>;
  let eventLog: EventLog;
  let lines: string[];
  let owned: Closable[];
  let made = 0;

  beforeAll(async () => {
    mongo = await startTestMongo();
    connection = await mongoose.createConnection(mongo.uri).asPromise();
    redis = await startTestRedis();
    ask = connectRedis({ url: redis.url });
    ask.on('error', () => undefined);
    await ask.connect();
  });
  afterAll(async () => {
    ask?.destroy();
    await redis?.close();
    await connection?.close();
    await mongo?.close();
  });
  beforeEach(async () => {
    await connection.dropDatabase();
    await ensureIndexes(connection, [eventLogIndexes], createLogger({ level: 'silent' }));
    await ask.flushAll();
    eventLog = createEventLog(connection, { timeoutMs: 5000 });
    [lines, owned] = [[], []];
  });
  afterEach(async () => {
    for (const one of owned.toReversed()) await one.close();
  });

  function publish(maxLength = 100_000): void {
    const config = parseConfig({
      ...{ NODE_ENV: 'test', REDIS_URL: redis.url, REDIS_COMMAND_TIMEOUT_MS: '1000' },
      ...{ MONGODB_URI: mongo.uri, JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ' },
    });
    const log = createLogger({ level: 'info' }, { write: (line) => void lines.push(line) });
    const open = { url: redis.url, log, now: Date.now };
    const connected = openRedisConnection(config.cache, open);
    connected.start();
    owned.push(connected);
    const options = { redis: connected, key: KEY, maxLength, eventLog, log, locks: noLocks };
    const issuer = 'https://auth.example.org';
    owned.push(startRedisStream({ ...options, issuer, tail: createTail(eventLog) }));
  }

  const append = (count: number) =>
    eventLog.append(
      Array.from({ length: count }, () => {
        made += 1;
        return { ...pendingEvent('thing.changed', new Date()), subject: `thing ${made}` };
      }),
    );
  const published = async () => (await ask.xRange(KEY, '-', '+')) ?? [];
  /** The log's events after `after`, as entries. */
  async function expectPublished(count: number, after = 0): Promise<void> {
    await eventually(
      `${count} entries`,
      async () => (await ask.xLen(KEY).catch(() => 0)) >= count,
      20_000,
    );
    const logged = await eventLog.read(after, { limit: 100_000 });
    const entries = await published();
    expect(entries.map(({ id, message }) => [id, message['id']])).toEqual(
      logged.map(({ sequence, id }) => [`${sequence}-0`, id]),
    );
    expect(entries).toHaveLength(count);
  }

  test('has each event once and in order, although three processes publish at once', async () => {
    for (let i = 0; i < 3; i += 1) publish();
    for (let i = 0; i < 20; i += 1) {
      await append(37);
      await delay(20);
    }
    await expectPublished(740);
    await append(1);
    await expectPublished(741);
  });

  test('gets the missing entries after a failover lost its newest ones, or all', async () => {
    publish();
    await append(10);
    await expectPublished(10);
    const entries = await published();
    await ask
      .multi()
      .del(KEY)
      .xAdd(KEY, '1-0', { id: String(entries[0]?.message['id']) })
      .exec();
    await expectPublished(10);
    await ask.flushAll();
    await append(1);
    await expectPublished(11);
  });

  test('begins with the newest events that it may keep', async () => {
    await append(1500);
    publish(1000);
    await expectPublished(1000, 500);
  });

  test('is not mixed with the events of another database', async () => {
    await append(3);
    await ask.xAdd(KEY, '2-0', { id: 'of another log' });
    publish();
    const told = (part: string) =>
      eventually(part, async () => lines.some((line) => line.includes(part)));
    await told('has events of another log');
    expect(await published()).toHaveLength(1);
    await ask.del(KEY);
    await expectPublished(3);
    await told('events published to Redis again');
  });

  test('shows the events of GET /api/events, and writes go on without Redis', async () => {
    const own = await startTestRedis();
    const service = await startTestService({
      ...{ REDIS_URL: own.url, EVENTS_REDIS_STREAM: 'true', NEAR_CACHE_TTL_MS: '2' },
    });
    const reader = connectRedis({ url: own.url });
    reader.on('error', () => undefined);
    try {
      await reader.connect();
      const client = createClient(service.baseUrl);
      const token = await login(client, service.admin.email, service.admin.password);
      await register(client);
      await own.kill('SIGKILL');
      await register(client);
      await own.restart();
      const entries = await eventually(
        'both users',
        async () => {
          const found = (await reader.xRange('auth:events', '-', '+').catch(() => null)) ?? [];
          const users = found.filter(({ message }) => message['type'] === 'user.created');
          return users.length >= 2 && found;
        },
        20_000,
      );
      const { json } = await client('GET', '/api/events?limit=1000', { token });
      const shown = entries.map(({ message }) => JSON.parse(String(message['event'])));
      expect(shown).toEqual((json.data as unknown[]).slice(0, shown.length));
    } finally {
      reader.destroy();
      await service.close();
      await own.close();
    }
  });
});
