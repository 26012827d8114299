import { progressOn } from '../../src/app/cli/progress';
import { UsageError } from '../../src/app/cli/run';
import { indexesOf } from '../../src/app/migrate';
import { ConfigError } from '../../src/kernel/config/config';
import { ensureIndexes } from '../../src/platform/mongo/indexes';
import { onInterrupt } from '../interrupt';
import { RefusedError } from '../staging';
import { dropListIndexes, removeSeeded, seededCount, seedUsers } from './data/seed';
import { type Deployment, withDeployment } from './deployment';
import { runForecast } from './forecast/forecast';
import { type Options, parseOptions, type SeedOptions, USAGE } from './options';
import { requireWritable, runLoad } from './run';

const EXIT = { failed: 1, invalid: 64, refused: 69, config: 78, interrupted: 130 } as const;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function main(options: Options): Promise<number> {
  if (options.command === 'help') {
    say(USAGE);
    return 0;
  }
  // Else a path that cannot be written would be found after the load.
  if (options.command === 'run') requireWritable(options.report);
  const ending = new AbortController();
  onInterrupt(
    () => ending.abort(),
    () => process.exit(EXIT.interrupted),
  );
  const { signal } = ending;
  const work = withDeployment(options, (deployment) => {
    if (options.command === 'seed') return seed(options, deployment, signal);
    return options.command === 'forecast'
      ? runForecast(options, deployment, signal, say)
      : runLoad(options, deployment, signal, say);
  });
  return work.catch((error: unknown) => {
    if (signal.aborted) return EXIT.interrupted;
    throw error;
  });
}

async function seed(
  { users, remove }: SeedOptions,
  deployment: Deployment,
  signal: AbortSignal,
): Promise<number> {
  const { database, config, where } = deployment;
  const { connection } = database;
  const show = progressOn(process.stderr);
  const course = (what: string) => ({
    ...{ signal, progress: (done: number, all: number) => show(what, done, all) },
  });
  if (remove) {
    const removed = await removeSeeded(connection, course('removing'));
    say(`${removed.toLocaleString('en')} seeded users removed (${where}).`);
    return signal.aborted ? EXIT.interrupted : 0;
  }
  const beganMs = performance.now();
  const made = await withListIndexes(deployment, users, signal, () =>
    seedUsers(connection, config, users, course('seeding')),
  );
  const seconds = (performance.now() - beganMs) / 1000;
  const all = await seededCount(connection);
  say(
    `${made.toLocaleString('en')} users stored in ${seconds.toFixed(1)} s, ${Math.round(made / seconds).toLocaleString('en')} a second; ${all.toLocaleString('en')} seeded users in all (${where}).`,
  );
  return signal.aborted ? EXIT.interrupted : 0;
}

/** Drops the indexes of the list for the work where that pays, and always leaves them built. */
async function withListIndexes<T>(
  { database, config, log }: Deployment,
  users: number,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const { connection } = database;
  try {
    if (await dropListIndexes(connection, users))
      say('The indexes of the list are built at the end. Until then, lists of users fail.');
    return await work();
  } finally {
    if (signal.aborted) say('Interrupted: building the indexes. Lists fail without them.');
    await ensureIndexes(connection, indexesOf(config), log);
  }
}

function outcome(error: unknown): { code: number; text: string } {
  if (error instanceof UsageError)
    return { code: EXIT.invalid, text: `${error.message}\n\n${USAGE}` };
  if (error instanceof RefusedError) return { code: EXIT.refused, text: error.message };
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
