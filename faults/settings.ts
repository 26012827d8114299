import type { Checked } from '../tests/support/cache-history';
import { redisAvailable, startRedis } from '../tests/support/cache-redis';
import { plantedFor, rolled, settingsWorlds, shifted } from '../tests/support/cache-rolls';
import { type Outcome, type RunOptions, type Scenario, SkipScenario, type Suite } from './scenario';

const GOAL = '0 stale, 0 failed';
const PLANTED_ROUNDS = 5;
const TITLES = {
  'waits-own-time': 'everybody waits its own τ',
  'own-way': 'nobody minds what cache others use',
} as Record<string, string>;

const besideMs = ({ quick, planted }: RunOptions): number => (quick || planted ? 2500 : 15_000);

function outcome(
  { reads, writes, stale, staleForMs, failedReads, failedWrites }: Checked,
  more: Outcome['figures'] = {},
): Outcome {
  const failed = failedReads + failedWrites;
  return {
    met: stale === 0 && failed === 0 && writes > 0,
    figures: { reads, writes, stale, failed, 'stale for ms': Math.round(staleForMs), ...more },
  };
}

/** A planted fault takes effect only sometimes: several rounds are tried. */
async function untilStale<T extends Checked>(
  { planted }: RunOptions,
  run: () => Promise<T>,
): Promise<T> {
  let result = await run();
  for (let round = 1; planted && result.stale === 0 && round < PLANTED_ROUNDS; round += 1)
    result = await run();
  return result;
}

async function withRedis<T>(use: (redis: { url: string; port: number }) => Promise<T>): Promise<T> {
  if (!redisAvailable()) throw new SkipScenario('redis-server is not installed');
  const redis = await startRedis();
  try {
    return await use(redis);
  } finally {
    await redis.stop();
  }
}

const rolls: Scenario[] = settingsWorlds('redis://unused').map(({ name, title }) => {
  const seen = (options: RunOptions, url: string): Promise<Checked> => {
    const world = settingsWorlds(url).find((one) => one.name === name);
    if (world === undefined) throw new Error(`there is no world ${name}`);
    const planted = options.planted ? plantedFor(world) : undefined;
    return untilStale(options, () => rolled(world, { planted, besideMs: besideMs(options) }));
  };
  const planted = TITLES[plantedFor({ name, title, from: {}, to: {} })] ?? '';
  return {
    name,
    title,
    goal: GOAL,
    planted,
    run: async (options) => outcome(await withRedis(({ url }) => seen(options, url))),
  };
});

const shiftedReplies: Scenario = {
  name: 'shifted-replies',
  title: 'Answers of Redis shifted by one, four times a second, for two of four workers',
  goal: `${GOAL}; counted`,
  planted: 'whatever Redis answers is believed',
  async run(options) {
    const planted = options.planted ? ('believes-all' as const) : undefined;
    const seen = await withRedis(({ port }) =>
      untilStale(options, () => shifted(port, { planted, besideMs: besideMs(options) })),
    );
    const { met, figures } = outcome(seen, { misdelivered: seen.misdelivered });
    return { met: met && seen.misdelivered > 0, figures };
  },
};

export const suite: Suite = {
  name: 'settings',
  title: 'Settings that differ while they roll, and answers that belong to others',
  setting:
    'Two workers of the cache with the old settings and two with the new ones side by side, then the new ones alone; one MongoDB engine and one redis-server; every read checked against the writes acknowledged before it.',
  scenarios: [...rolls, shiftedReplies],
};
