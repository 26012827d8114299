import { randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseConfig } from '../../../src/kernel/config/config';
import { sha256 as digestOf } from '../../../src/kernel/crypto/digest';
import { Problem } from '../../../src/kernel/errors';
import type { Closable } from '../../../src/kernel/lifecycle';
import {
  createLoginGuard,
  type LoginGuard,
  type PasswordAttempt,
} from '../../../src/modules/auth/login-guard';
import { createDigest } from '../../../src/platform/cache/key-digest';
import { type AttemptCounters, RESERVED_MS } from '../../../src/platform/counters/counters';
import { createMongoCounters } from '../../../src/platform/counters/mongo-counters';
import { startCounters } from '../../../src/platform/counters/redis-counters';
import { connectDatabase, type Database } from '../../../src/platform/mongo/connection';
import { quiet } from '../../support/cache-fixture';
import { eventually } from '../../support/http';
import { startTestMongo, type TestMongo } from '../../support/mongo';
import { redisAvailable, startTestRedis, type TestRedis } from '../../support/redis';

const LIMIT = 10;
const WORKERS = 4;
/** A hundred at once wait for one document, on a busy machine longer than a request may. */
const TIMEOUT_MS = 20_000;
let mongo: TestMongo;
let database: Database;
/** In the midst of a day's and of every shorter window; tests move it. */
let nowMs = 0;
const now = () => nowMs;
beforeAll(async () => {
  mongo = await startTestMongo();
  const config = parseConfig({ NODE_ENV: 'test' });
  const patient = { ...config.database, operationTimeoutMs: TIMEOUT_MS };
  database = await connectDatabase(mongo.uri, patient, quiet);
});
afterAll(async () => {
  await database?.close();
  await mongo?.close();
});
beforeEach(() => {
  nowMs = Math.ceil(Date.now() / 86_400_000) * 86_400_000 + 30_000;
});

const inDatabase = () => createMongoCounters(database.connection, { timeoutMs: TIMEOUT_MS, now });
const settings = (limits: { account?: number; network?: number; device?: number }) =>
  parseConfig({
    NODE_ENV: 'test',
    LOGIN_ATTEMPTS_PER_ACCOUNT: String(limits.account ?? 1000),
    LOGIN_ATTEMPTS_PER_ACCOUNT_DAY: '10000',
    LOGIN_ATTEMPTS_PER_DEVICE: String(limits.device ?? 1000),
    LOGIN_ATTEMPTS_PER_NETWORK: String(limits.network ?? 100_000),
  }).login;
const attemptAt = (over: Partial<PasswordAttempt> = {}): PasswordAttempt => ({
  by: 'login',
  account: `${randomUUID()}@example.org`,
  passwordHash: randomUUID(),
  client: { network: randomUUID(), ipPrefix: '', userAgent: 'browser', requestId: '' },
  ...over,
});

type Outcome = 'right' | 'wrong' | 'not looked at' | 'failed after';
/** What a worker does with one attempt; `looked` says which passwords were looked at. */
function attempts(guards: readonly LoginGuard[]) {
  const looked: Outcome[] = [];
  async function one(
    attempt: PasswordAttempt,
    outcome: Outcome,
    lookMs = () => randomInt(8),
  ): Promise<'right' | 'wrong' | number> {
    const guard = guards[randomInt(guards.length)] as LoginGuard;
    try {
      const { isRight, refusal } = await guard.guard(attempt, async (turn) => {
        if (outcome === 'not looked at') throw new Problem(503, 'hash_queue_full', 'full');
        let answered: Outcome | undefined;
        const isRight = await turn(async () => {
          await sleep(lookMs());
          if (outcome === 'failed after') throw new Error('the thread pool broke');
          answered = outcome;
          return outcome === 'right';
        });
        looked.push(answered ?? outcome);
        return isRight;
      });
      if (refusal !== undefined) {
        looked.pop();
        return refusal.status;
      }
      return isRight ? 'right' : 'wrong';
    } catch (error) {
      if (error instanceof Problem) return error.status;
      return 500;
    }
  }
  return { one, looked };
}
const times = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));
const countOf = <T>(all: readonly T[], what: T) => all.filter((one) => one === what).length;

test('guesses at all kinds of factors add up within a day, but for a kind that stands alone', async () => {
  const guard = createLoginGuard({
    counters: inDatabase(),
    settings: { ...settings({ account: 4 }), accountAttemptsPerDay: 6 },
    now,
    clientDigest: (text) => text,
  });
  const { client } = attemptAt();
  const checked: string[] = [];
  const guess = async (kind: string, alone: { isAlone?: true } = {}) => {
    const attempt = { by: 'factor', account: 'one', kind, ...alone, client } as const;
    const { refusal } = await guard.guard(attempt, (turn) =>
      turn(async () => {
        checked.push(kind);
        return false;
      }),
    );
    return refusal?.status ?? 'wrong';
  };
  const alone = { isAlone: true } as const;
  for (let i = 0; i < 3; i += 1) {
    expect([await guess('app'), await guess('other')]).toEqual(['wrong', 'wrong']);
    expect(await guess('codes', alone)).toBe('wrong');
  }
  expect([await guess('app'), await guess('other')]).toEqual([429, 429]);
  expect([await guess('codes', alone), await guess('codes', alone)]).toEqual(['wrong', 429]);
  expect(checked).toHaveLength(10);
});

const stores: [string, boolean][] = [
  ['the database', false],
  ...(redisAvailable ? ([['Redis', true]] as [string, boolean][]) : []),
];
jest.setTimeout(90_000);
describe.each(stores)('attempts counted in %s, over several workers', (_, withRedis) => {
  let redis: TestRedis | undefined;
  const links: Closable[] = [];
  let counters: AttemptCounters[];
  beforeAll(async () => {
    redis = withRedis ? await startTestRedis() : undefined;
    const url = redis?.url;
    const started = times(WORKERS, () =>
      url === undefined
        ? { counters: inDatabase(), close: async () => {} }
        : startCounters(
            // Not to fall back on a slow machine: counts would be in two places.
            {
              ...parseConfig({ NODE_ENV: 'test', REDIS_URL: url }).cache,
              redisCommandTimeoutMs: 10_000,
            },
            inDatabase(),
            {
              log: quiet,
              now,
              digest: createDigest('names'),
            },
          ),
    );
    links.push(...started);
    counters = started.map((one) => one.counters);
    // Until Redis answers, the database counts.
    if (withRedis)
      await eventually('Redis to be in use', async () => (await storedIn()) === 0, 10_000);
  });
  afterAll(async () => {
    await Promise.all(links.map((link) => link.close()));
    await redis?.close();
  });

  /** Counts that reach the database. */
  async function storedIn(): Promise<number> {
    const key = randomUUID();
    for (const one of counters) await one.add(key, 1, 60_000);
    return database.connection
      .collection<{ _id: string }>('counters')
      .countDocuments({ _id: { $regex: `^${key}` } });
  }
  const clientDigest = (text: string) => text;
  const guardsWith = (limits: Parameters<typeof settings>[0], waitMs = 60_000) =>
    counters.map((one) =>
      createLoginGuard({ counters: one, settings: settings(limits), now, clientDigest, waitMs }),
    );

  test('30 concurrent right passwords all pass under every limit and are not counted', async () => {
    for (const limits of [{ account: 3 }, { network: 3 }, { device: 3 }]) {
      const { one } = attempts(guardsWith(limits));
      const attempt = attemptAt({ by: 'device' in limits ? 'device' : 'login' });
      expect(await Promise.all(times(30, () => one(attempt, 'right')))).toEqual(
        times(30, () => 'right'),
      );
      // As many failures are left as before.
      const after = await times(5, () => 'wrong' as const).reduce<Promise<unknown[]>>(
        async (before, outcome) => [...(await before), await one(attempt, outcome)],
        Promise.resolve([]),
      );
      expect(after).toEqual(['wrong', 'wrong', 'wrong', 429, 429]);
    }
  });

  test(`of 100 concurrent wrong passwords exactly ${LIMIT} are checked, and a right one is refused afterwards`, async () => {
    const { one, looked } = attempts(guardsWith({ account: LIMIT }));
    const attempt = attemptAt();
    const answers = await Promise.all(times(100, () => one(attempt, 'wrong')));
    const others = answers.filter((one) => one !== 'wrong' && one !== 429);
    expect([countOf(answers, 'wrong'), others, looked.length]).toEqual([LIMIT, [], LIMIT]);
    expect(await one(attempt, 'right')).toBe(429);
  });

  test('in any order of outcomes only wrong passwords count, and never more than the limit', async () => {
    const kinds: Outcome[] = ['right', 'right', 'wrong', 'not looked at', 'failed after'];
    for (let round = 0; round < 6; round += 1) {
      const limit = 1 + randomInt(12);
      const guards = guardsWith({ account: limit });
      const { one } = attempts(guards);
      const attempt = attemptAt();
      const wanted = times(60, () => kinds[randomInt(kinds.length)] as Outcome);
      const answers = await Promise.all(
        wanted.map(async (outcome) => {
          await sleep(randomInt(40));
          return one(attempt, outcome);
        }),
      );
      const wrong = countOf(answers, 'wrong');
      const context = { limit, wanted, answers };
      expect({ ...context, isWithin: wrong <= limit }).toEqual({ ...context, isWithin: true });
      // Nobody is refused for good unless the limit was reached by wrong ones.
      if (wrong < limit)
        expect({ ...context, refused: countOf(answers, 429) }).toEqual({ ...context, refused: 0 });
      for (let left = limit - wrong; left > 0; left -= 1)
        expect(await one(attempt, 'wrong')).toBe('wrong');
      expect(await one(attempt, 'wrong')).toBe(429);
    }
  });

  test('a failure counts in the window of its reservation, not in the next one', async () => {
    const { one } = attempts(guardsWith({ account: 2 }));
    const attempt = attemptAt();
    const late = one(attempt, 'wrong', () => 150);
    const right = one(attempt, 'right', () => 150);
    await sleep(50);
    nowMs += 300_000;
    expect([await late, await right]).toEqual(['wrong', 'right']);
    expect([
      await one(attempt, 'wrong'),
      await one(attempt, 'wrong'),
      await one(attempt, 'wrong'),
    ]).toEqual(['wrong', 'wrong', 429]);
  });

  test('reservations of a dead process expire', async () => {
    const [dying] = counters as [AttemptCounters];
    const guards = guardsWith({ account: 2 }, 100);
    const { one } = attempts(guards);
    const attempt = attemptAt();
    const key = `login:login:${digestOf(`${attempt.account}\n${attempt.passwordHash}`).slice(0, 22)}`;
    for (let i = 0; i < 2; i += 1) {
      expect((await dying.reserve({ key, limit: 2, windowMs: 300_000 })).state).toBe('reserved');
    }
    // Not known yet whether they fail: neither looked at nor locked out.
    expect(await one(attempt, 'right')).toBe(503);
    nowMs += RESERVED_MS + 1;
    expect(await one(attempt, 'right')).toBe('right');
  });

  test('a new password of the account starts without failures at every operation', async () => {
    const guards = guardsWith({ account: 2, device: 2 });
    const { one } = attempts(guards);
    for (const by of ['login', 'confirm', 'device'] as const) {
      const attempt = attemptAt({ by });
      expect([
        await one(attempt, 'wrong'),
        await one(attempt, 'wrong'),
        await one(attempt, 'right'),
      ]).toEqual(['wrong', 'wrong', 429]);
      expect(await one({ ...attempt, passwordHash: 'another' }, 'right')).toBe('right');
    }
  });

  test('an error of the store does not count as a failure', async () => {
    const attempt = attemptAt();
    const [first] = counters as [AttemptCounters];
    let isAway = true;
    const flaky: AttemptCounters = {
      ...first,
      reserve: async (limit) =>
        isAway && limit.windowMs === 86_400_000
          ? Promise.reject(new Error('away'))
          : first.reserve(limit),
    };
    const guard = createLoginGuard({
      counters: flaky,
      settings: settings({ account: 1, network: 1 }),
      now,
      clientDigest,
      waitMs: 100,
    });
    const { one } = attempts([guard]);
    for (let i = 0; i < 3; i += 1) expect(await one(attempt, 'wrong')).toBe(500);
    isAway = false;
    expect([
      await one(attempt, 'right'),
      await one(attempt, 'wrong'),
      await one(attempt, 'right'),
    ]).toEqual(['right', 'wrong', 429]);
  });
});
