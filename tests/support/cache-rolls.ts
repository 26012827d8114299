import { type Checked, check, type RecordedHistory } from './cache-history';
import { startProxy } from './cache-proxy';
import type { Planted } from './cache-worker';
import { startWorker, type TestWorker } from './cache-workers';
import { startTestMongo } from './mongo';

const KEYS = Array.from({ length: 10 }, (_, i) => `settings-${i}`);
type Environment = Readonly<Record<string, string>>;

export interface RollOptions {
  readonly planted?: Planted | undefined;
  /** How long old and new workers serve at the same time. */
  readonly besideMs?: number;
}

/** The differences between processes that serve at the same time. */
export interface SettingsWorld {
  readonly name: string;
  readonly title: string;
  readonly from: Environment;
  readonly to: Environment;
}

const tau = (ms: number): Environment => ({ NEAR_CACHE_TTL_MS: String(ms) });

/** `redisUrl` without a database number; undefined: only the worlds without Redis. */
export function settingsWorlds(redisUrl: string | undefined): SettingsWorld[] {
  const times = [
    [50, 10],
    [50, 0],
    [0, 50],
    [400, 0],
  ] as const;
  const ofTimes = (where: string, cache: Environment): SettingsWorld[] =>
    times.map(([from, to]) => ({
      name: `tau-${from}-${to}-${where}`,
      title: `τ from ${from} to ${to} ms, ${where === 'near' ? 'without' : 'with'} Redis`,
      from: { ...cache, ...tau(from) },
      to: { ...cache, ...tau(to) },
    }));
  if (redisUrl === undefined) return ofTimes('near', {});
  const here: Environment = { REDIS_URL: redisUrl, ...tau(0) };
  return [
    ...ofTimes('near', {}),
    ...ofTimes('redis', { REDIS_URL: redisUrl }),
    {
      name: 'database-number',
      title: 'another database number of one Redis',
      from: here,
      to: { ...here, REDIS_URL: `${redisUrl}/7` },
    },
    {
      name: 'key-prefix',
      title: 'another key prefix',
      from: here,
      to: { ...here, CACHE_KEY_PREFIX: 'other' },
    },
    { name: 'redis-taken-away', title: 'Redis taken away', from: here, to: tau(0) },
    { name: 'redis-put-in', title: 'Redis put in', from: tau(0), to: here },
  ];
}

/** The safeguard whose absence breaks that world. */
export const plantedFor = ({ name }: SettingsWorld): Planted =>
  name.startsWith('tau') ? 'waits-own-time' : 'own-way';

const record = (
  all: readonly TestWorker[],
  durationMs: number,
  more: { readers?: number; burst?: number } = {},
): Promise<RecordedHistory[]> => {
  const options = {
    keys: KEYS,
    readers: 2,
    writers: 1,
    durationMs,
    writePauseMs: 20,
    burst: 10,
    ...more,
  };
  return Promise.all(all.map((one) => one.ask<RecordedHistory>({ op: 'history', options })));
};

/** Uses a new database: no process of another run is registered there. */
async function withWorkers<T>(
  work: (
    start: (environment: Environment, planted?: Planted) => Promise<TestWorker[]>,
  ) => Promise<T>,
): Promise<T> {
  const mongo = await startTestMongo();
  const started: TestWorker[] = [];
  try {
    return await work(async (environment, planted) => {
      const some = await Promise.all(
        [1, 2].map(() =>
          startWorker({
            mongoUri: mongo.uri,
            environment: { ...environment },
            ...(planted && { planted }),
          }),
        ),
      );
      started.push(...some);
      return some;
    });
  } finally {
    await Promise.all(started.map((one) => one.close()));
    await mongo.close();
  }
}

/**
 * Two workers with the old settings serve while two with the new settings start. The old workers
 * then exit under load, and the new ones continue.
 */
export function rolled(
  { from, to }: Pick<SettingsWorld, 'from' | 'to'>,
  { planted, besideMs = 2500 }: RollOptions = {},
): Promise<Checked> {
  return withWorkers(async (start) => {
    const old = await start(from, planted);
    let serving = true;
    const before: RecordedHistory[] = [];
    const serve = (async () => {
      while (serving) before.push(...(await record(old, 500)));
    })();
    const fresh = await start(to, planted);
    const both = await record(fresh, besideMs);
    serving = false;
    const last = record(fresh, besideMs / 2);
    await serve;
    await Promise.all(old.map((one) => one.close()));
    return check([...before, ...both, ...(await last)], KEYS.length);
  });
}

/**
 * Duplicates a reply of Redis four times a second for two of four workers. Each later reply then
 * answers the wrong command.
 */
export async function shifted(
  redisPort: number,
  { planted, besideMs = 2500 }: RollOptions = {},
): Promise<Checked & { misdelivered: number }> {
  const proxy = await startProxy(redisPort);
  // Many concurrent commands: a surplus reply is detected at once when no command waits.
  proxy.delay(() => Math.random() * 10);
  const environment = (port: number): Environment => ({
    REDIS_URL: `redis://127.0.0.1:${port}`,
    REDIS_COMMAND_TIMEOUT_MS: '300',
    ...tau(0),
  });
  let shifting: NodeJS.Timeout | undefined;
  try {
    return await withWorkers(async (start) => {
      const [behind, beside] = await Promise.all([
        start(environment(proxy.port), planted),
        start(environment(redisPort), planted),
      ]);
      shifting = setInterval(() => proxy.repeatReply(), 250);
      const result = check(
        await record([...behind, ...beside], besideMs, { readers: 24, burst: 20 }),
        KEYS.length,
      );
      const counts = await Promise.all(behind.map((one) => one.count('redis_misdelivered')));
      return { ...result, misdelivered: counts.reduce((sum, count) => sum + count, 0) };
    });
  } finally {
    clearInterval(shifting);
    await proxy.close();
  }
}
