import { progressOn } from '../../src/app/cli/progress';
import { indexesOf } from '../../src/app/migrate';
import { ConfigError } from '../../src/kernel/config/config';
import { ensureIndexes } from '../../src/platform/mongo/indexes';
import { dropListIndexes, removeSeeded, seededCount, seedUsers } from './data/seed';
import { type Deployment, withDeployment } from './deployment';
import { runForecast } from './forecast/forecast';
import { InvalidCommand, type Options, parseOptions, type SeedOptions, USAGE } from './options';
import { runLoad } from './run';

const EXIT = { failed: 1, invalid: 2, config: 78, interrupted: 130 } as const;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(options: Options): Promise<number> {
  if (options.command === 'help') {
    say(USAGE);
    return 0;
  }
  if (options.command === 'seed') return withDeployment((deployment) => seed(options, deployment));
  const ending = new AbortController();
  const end = () => {
    if (ending.signal.aborted) process.exit(EXIT.interrupted);
    ending.abort();
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
  const { signal } = ending;
  const work = withDeployment((deployment) =>
    options.command === 'forecast'
      ? runForecast(options, deployment, signal, say)
      : runLoad(options, deployment, signal, say),
  );
  return work.catch((error: unknown) => {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  });
}

async function seed({ users, remove }: SeedOptions, deployment: Deployment): Promise<number> {
  const { database, config, where, log } = deployment;
  const { connection } = database;
  const show = progressOn(process.stderr);
  if (remove) {
    const removed = await removeSeeded(connection, (done, all) => show('removing', done, all));
    say(`${removed.toLocaleString('en')} seeded users removed (${where}).`);
    return 0;
  }
  const beganMs = performance.now();
  let made = 0;
  if (await dropListIndexes(connection, users))
    say('The indexes of the list are built at the end.');
  try {
    made = await seedUsers(connection, config, users, (done, all) => show('seeding', done, all));
  } finally {
    await ensureIndexes(connection, indexesOf(config), log);
  }
  const seconds = (performance.now() - beganMs) / 1000;
  const all = await seededCount(connection);
  say(
    `${made.toLocaleString('en')} users stored in ${seconds.toFixed(1)} s, ${Math.round(made / seconds).toLocaleString('en')} a second; ${all.toLocaleString('en')} seeded users in all (${where}).`,
  );
  return 0;
}

function outcome(error: unknown): { code: number; text: string } {
  if (error instanceof InvalidCommand)
    return { code: EXIT.invalid, text: `${error.message}\n\n${USAGE}` };
  if (error instanceof ConfigError) return { code: EXIT.config, text: error.message };
  return { code: EXIT.failed, text: error instanceof Error ? error.message : String(error) };
}

async function start(): Promise<void> {
  try {
    process.exitCode = await main(parseOptions(process.argv.slice(2)));
  } catch (error) {
    const { code, text } = outcome(error);
    process.stderr.write(`${text}\n`);
    process.exitCode = code;
  }
}

void start();
