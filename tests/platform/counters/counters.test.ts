import { randomUUID } from 'node:crypto';
import { parseConfig } from '../../../src/kernel/config/config';
import type { Closable } from '../../../src/kernel/lifecycle';
import { createDigest } from '../../../src/platform/cache/key-digest';
import type { Counters } from '../../../src/platform/counters/counters';
import { createMongoCounters } from '../../../src/platform/counters/mongo-counters';
import { startCounters } from '../../../src/platform/counters/redis-counters';
import { connectDatabase, type Database } from '../../../src/platform/mongo/connection';
import { createLogger } from '../../../src/platform/telemetry/logger';
import { eventually } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import {
  describeWithRedis,
  redisAvailable,
  startTestRedis,
  type TestRedis,
} from '../../support/redis';

const log = createLogger({ level: 'silent' });
const HOUR = 3_600_000;
let mongo: TestMongo;
let database: Database;
beforeAll(async () => {
  mongo = await startTestMongo();
  // Long enough for a busy machine: what is tested is not the time.
  const { database: settings } = parseConfig({ NODE_ENV: 'test' });
  database = await connectDatabase(mongo.uri, { ...settings, operationTimeoutMs: 20_000 }, log);
});
afterAll(async () => {
  await database?.close();
  await mongo?.close();
});

const inDatabase = () =>
  createMongoCounters(database.connection, { timeoutMs: 20_000, now: Date.now });
const digest = createDigest('secret');
const inRedis = (redis: TestRedis) =>
  startCounters(parseConfig({ NODE_ENV: 'test', REDIS_URL: redis.url }).cache, inDatabase(), {
    log,
    now: Date.now,
    digest,
  });
/** As long as Redis does not answer, the fallback counts: asks until the count is there. */
const inUse = (counters: Counters, redis: TestRedis) => {
  const probe = randomUUID();
  return eventually('Redis to be in use', async () => {
    await counters.add(probe, 1, HOUR);
    return (await keysOf(redis)).some((key) => key.includes(digest(probe)));
  });
};
async function keysOf(redis: TestRedis): Promise<string[]> {
  const { createClient } = await import('redis');
  const client = createClient({ url: redis.url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await client.keys('*');
  } finally {
    client.destroy();
  }
}

const kinds: [string, boolean][] = [
  ['the database', false],
  ...(redisAvailable ? ([['Redis', true]] as [string, boolean][]) : []),
];
describe.each(kinds)('counters in %s', (_, withRedis) => {
  let redis: TestRedis | undefined;
  let all: Counters[];
  const links: Closable[] = [];
  beforeAll(async () => {
    if (!withRedis) {
      all = [inDatabase(), inDatabase()];
      return;
    }
    redis = await startTestRedis();
    const started = [inRedis(redis), inRedis(redis)];
    links.push(...started);
    all = started.map(({ counters }) => counters);
    for (const counters of all) await inUse(counters, redis);
  });
  afterAll(async () => {
    await Promise.all(links.map((link) => link.close()));
    await redis?.close();
  });

  test('many that count at once lose nothing', async () => {
    const totals = await Promise.all(
      Array.from({ length: 200 }, (_value, i) => (all[i % 2] as Counters).add('many', 1, HOUR)),
    );
    expect(totals.map(({ total }) => total).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 200 }, (_value, i) => i + 1),
    );
  });

  test('a released attempt is not counted, and a question adds nothing', async () => {
    const [one, other] = all as [Counters, Counters];
    await one.add('back', 5, HOUR);
    await other.add('back', -2, HOUR);
    expect((await one.add('back', 0, HOUR)).total).toBe(3);
    await other.reset(['back'], HOUR);
    expect((await one.add('back', 1, HOUR)).total).toBe(1);
  });

  test('windows end together, and the next starts from nothing', async () => {
    const [one, other] = all as [Counters, Counters];
    const [a, b] = await Promise.all([one.add('window', 1, HOUR), other.add('window', 1, HOUR)]);
    expect(a.resetsAtMs).toBe(b.resetsAtMs);
    expect(a.resetsAtMs).toBeGreaterThan(Date.now());
    const { resetsAtMs } = await one.add('short', 1, 200);
    await eventually('the window to end', () => Date.now() > resetsAtMs);
    expect((await other.add('short', 1, 200)).total).toBe(1);
  });

  test('keys and windows do not mix', async () => {
    const [one] = all as [Counters];
    await one.add('left', 1, HOUR);
    expect((await one.add('right', 1, HOUR)).total).toBe(1);
    expect((await one.add('left', 1, HOUR * 2)).total).toBe(1);
  });
});

describeWithRedis('counters in Redis, when it goes away', () => {
  test('go on in the database, and come back; every counter ends by itself', async () => {
    const redis = await startTestRedis();
    const { counters, close } = inRedis(redis);
    try {
      await inUse(counters, redis);
      for (let i = 0; i < 5; i += 1) await counters.add('away', 1, HOUR);
      const { createClient } = await import('redis');
      const client = createClient({ url: redis.url });
      await client.connect();
      for (const key of await client.keys('*')) {
        const ms = await client.pTTL(key);
        expect(ms).toBeGreaterThan(0);
        expect(ms).toBeLessThanOrEqual(HOUR + 1000);
      }
      client.destroy();
      await redis.kill('SIGKILL');
      const totals = [];
      for (let i = 0; i < 3; i += 1) totals.push((await counters.add('away', 1, HOUR)).total);
      expect(totals).toEqual([1, 2, 3]);
      await redis.restart();
      await inUse(counters, redis);
      expect((await counters.add('away', 1, HOUR)).total).toBe(1);
    } finally {
      await close();
      await redis.close();
    }
  });
});
