import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../src/app/cli/run';
import { type Bench, createBench, type Question } from './bench';
import { planCpus } from './cpus';
import { seedUsers } from './dataset';
import { isBusy, showDisturbance, watchDisturbance } from './disturbance';
import { createFigures, type Figures } from './figures';
import { goalRows } from './goals';
import { describeMachine, type Machine } from './machine';
import { helpText, type Options, parseOptions } from './options';
import { questions } from './questions';
import { markdown, type Run } from './report/markdown';
import { picture } from './report/svg';
import { goalTable } from './report/table';
import { type Runtime, resolveRuntimes } from './runtimes';
import { createSchedule } from './schedule';
import { startStores } from './stores';

/** Users that every question may count on. */
const USERS = 1000;

const chosen = ({ quick, only }: Options): readonly Question[] =>
  questions.filter(({ id, quick: fast }) => (only.length > 0 ? only.includes(id) : !quick || fast));

interface Outcome {
  readonly machine: Machine;
  readonly runtimes: readonly Runtime[];
  readonly options: Pick<Options, 'rounds' | 'seconds' | 'warmSeconds' | 'connections'>;
  readonly figures: Figures;
  /** Questions during which others worked on the machine. */
  readonly busy: readonly string[];
  /** Where the figures come from, when from several runs. */
  readonly runs?: readonly Run[];
}

async function measure(options: Options): Promise<Outcome> {
  const machine = describeMachine();
  const runtimes = resolveRuntimes(options.nodes);
  const figures = createFigures();
  const busy: string[] = [];
  say(
    `${machine.cpu}, ${machine.cores} cores; Node ${runtimes.map(({ version }) => version).join(', ')}; commit ${machine.commit}`,
  );
  if (planCpus(1).shared)
    say('Too few cores: the load shares them with the stores, and the figures are rough.');
  if (machine.loadBefore > 1)
    say(
      `The machine is busy (load average ${machine.loadBefore}): only ratios mean anything, if that.`,
    );
  const stores = await startStores(options.mongodbUri);
  try {
    await seedUsers(stores.mongodbUri, USERS);
    const bench = createBench({ options, runtimes, stores, figures, say });
    busy.push(...(await askAll(bench, chosen(options))));
  } finally {
    await stores.close();
  }
  // Not all options: a database's URI may hold a password.
  const { rounds, seconds, warmSeconds, connections } = options;
  return {
    ...{ machine, runtimes, figures, busy },
    options: { rounds, seconds, warmSeconds, connections },
  };
}

/** Resolves with the questions during which others worked on the machine. */
async function askAll(bench: Bench, asked: readonly Question[]): Promise<readonly string[]> {
  const busy: string[] = [];
  const ids = asked.map(({ id }) => id);
  const schedule = createSchedule(ids, bench.options);
  for (const question of asked) {
    say(schedule.heading(question.id, question.title));
    const disturbance = watchDisturbance();
    // One failing question must not discard half an hour of figures.
    await question.ask(bench).catch((error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    });
    schedule.done(question.id);
    const seen = disturbance();
    if (!isBusy(seen)) continue;
    busy.push(question.id);
    say(`  The machine is busy: ${showDisturbance(seen)}. Its goals are not judged.`);
  }
  return busy;
}

/** The results of earlier runs. The last run describes the machine. */
function read(files: readonly string[]): Outcome {
  const runs = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Run);
  const last = runs.at(-1);
  if (last === undefined) throw new Error('no files');
  const latest = new Map(
    runs
      .flatMap((run) => run.figures)
      .map((one) => [[one.question, one.name, one.contestant, one.node].join('|'), one]),
  );
  const figures = createFigures();
  for (const { samples, ...key } of latest.values())
    for (const sample of samples) figures.add(key, sample);
  // Of the run that a question's figures are from: the last that asked it.
  const busyRun = (question: string) =>
    runs.findLast((run) => run.figures.some((one) => one.question === question));
  const busy = [...new Set(figures.all.map(({ question }) => question))].filter((question) =>
    busyRun(question)?.busy?.includes(question),
  );
  return { ...last, figures, runs, busy };
}

async function main(options: Options): Promise<void> {
  const outcome = options.report.length > 0 ? read(options.report) : await measure(options);
  const { figures, runtimes, machine } = outcome;
  const nodes = runtimes.map(({ major }) => major);
  const goals = goalRows(figures, nodes, outcome.busy);
  say(`\n${goalTable(goals)}`);
  if (options.json !== undefined)
    writeFileSync(
      options.json,
      `${JSON.stringify({ ...outcome, runs: undefined, figures: figures.all }, undefined, 1)}\n`,
    );
  if (!options.write) return;
  // The compiled program stands in dist/bench; the results belong beside its source.
  const folder = join(__dirname, '..', '..', 'bench');
  writeFileSync(join(folder, 'RESULTS.md'), markdown({ ...outcome, goals, questions }));
  writeFileSync(join(folder, 'results.svg'), picture(figures, runtimes, machine));
  say('Written: bench/RESULTS.md and bench/results.svg');
}

const say = (line: string): void => console.log(line);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => process.exit(130));
process.setMaxListeners(100);

runCli(async () => {
  const ids = questions.map(({ id }) => id);
  const options = parseOptions(process.argv.slice(2), ids);
  if (options === undefined) process.stdout.write(helpText(ids));
  else await main(options);
});
