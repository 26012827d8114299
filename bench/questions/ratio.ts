import { createConnection } from 'mongoose';
import { indexesOf } from '../../src/app/migrate';
import { parseConfig } from '../../src/kernel/config/config';
import { ensureIndexes } from '../../src/platform/mongo/indexes';
import { createLogger } from '../../src/platform/telemetry/logger';
import type { Bench, Question } from '../bench';
import { type Contestant, ours } from '../contestants';
import { GOAL, measureRatios, showRow } from '../ratio/measure';
import { emailOf, idOf, PASSWORD, RATIO_ENVIRONMENT, seedRatio } from '../ratio/seed';
import { openWorld, type World } from '../ratio/world';

const SMALL = 100_000;
const LARGE = 1_000_000;
const OPTIONS = { samples: 21, warm: 3, goal: GOAL, attempts: 3 } as const;

/** Nothing runs beside the requests: the documents are of this version. */
const ENVIRONMENT = { ...RATIO_ENVIRONMENT, MIGRATE_ON_START: 'false' } as const;
const log = createLogger({ level: 'warn' });
const indexes = () => indexesOf(parseConfig(ENVIRONMENT));

/**
 * Every route's time with a million users against a hundred thousand, free of hardware: what grows
 * with the collection has no index. Each size has a database of its own on the same server.
 */
export const ratio: Question = {
  id: 'ratio',
  title: 'Every route with a million users ÷ with a hundred thousand',
  quick: false,
  async ask(bench) {
    const sizes = [SMALL, LARGE].map((users) => ({
      users,
      uri: databaseOf(bench.stores.mongodbUri, users),
    }));
    for (const { users, uri } of sizes) {
      bench.say(`  ${users} users are being stored`);
      const connection = await createConnection(uri).asPromise();
      await seedRatio(connection, users);
      // A service has a minute to start, which is too short to build them.
      await ensureIndexes(connection, indexes(), log);
      await connection.close();
    }
    const contestants = sizes.map(({ users, uri }) => withUsers(users, uri));
    await bench.withField(contestants, { env: ENVIRONMENT }, async (field) => {
      const connections = await Promise.all(
        sizes.map(({ uri }) => createConnection(uri).asPromise()),
      );
      try {
        const worlds = sizes.map(({ users }, n) => {
          const [standing, connection] = [field[n], connections[n]];
          if (standing === undefined || connection === undefined) throw new Error('no service');
          const { url } = standing;
          return openWorld({ url, connection, users, emailOf, idOf, password: PASSWORD });
        });
        await compare(
          bench,
          (await Promise.all(worlds)) as [World, World],
          field[0]?.runtime.major,
        );
      } finally {
        await Promise.all(connections.map((connection) => connection.close()));
      }
    });
  },
};

async function compare(
  bench: Bench,
  [small, large]: readonly [World, World],
  node = '',
): Promise<void> {
  // Each at once: a run that ends early has shown what it measured.
  const rows = await measureRatios(small, large, OPTIONS, (row) => bench.say(`  ${showRow(row)}`));
  for (const row of rows) {
    const name = row.variant === 'usual' ? row.route : `${row.route}, ${row.variant}`;
    bench.figures.add(
      { ...{ question: 'ratio', name, unit: '×', contestant: 'ours', node } },
      row.ratio,
    );
  }
  const above = rows.filter(({ ratio }) => !(ratio <= GOAL));
  if (above.length > 0)
    throw new Error(`above ${GOAL}:\n${above.map((row) => `  ${showRow(row)}`).join('\n')}`);
}

const withUsers = (users: number, mongodbUri: string): Contestant => ({
  ...ours,
  id: `ours-${users}`,
  launch: (settings, workers, env) => ours.launch({ ...settings, mongodbUri }, workers, env),
});

/** The same server, another database. */
function databaseOf(uri: string, users: number): string {
  const [, server = '', query = ''] =
    /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(uri) ?? [];
  return `${server}/ratio_${users}${query}`;
}
