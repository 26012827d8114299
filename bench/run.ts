import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createBench, type Question } from './bench';
import { planCpus } from './cpus';
import { seedUsers } from './dataset';
import { createFigures, type Figures, show } from './figures';
import { goalRows } from './goals';
import { describeMachine, type Machine } from './machine';
import { type Options, parseOptions, USAGE } from './options';
import { questions } from './questions';
import { markdown, type Run } from './report/markdown';
import { picture } from './report/svg';
import { type Runtime, resolveRuntimes } from './runtimes';
import { startStores } from './stores';

/** Users that every question may count on. */
const USERS = 1000;

function chosen({ quick, only }: Options): readonly Question[] {
  const unknown = only.filter((id) => !questions.some((question) => question.id === id));
  if (unknown.length > 0) throw new Error(`no such question: ${unknown.join(', ')}; there are ${questions.map(({ id }) => id).join(', ')}`);
  return questions.filter(({ id, quick: fast }) => (only.length > 0 ? only.includes(id) : !quick || fast));
}

interface Outcome {
  readonly machine: Machine;
  readonly runtimes: readonly Runtime[];
  readonly options: Pick<Options, 'rounds' | 'seconds' | 'warmSeconds' | 'connections'>;
  readonly figures: Figures;
  /** Where the figures come from, when from several runs. */
  readonly runs?: readonly Run[];
}

async function measure(options: Options): Promise<Outcome> {
  const machine = describeMachine();
  const runtimes = resolveRuntimes(options.nodes);
  const figures = createFigures();
  say(`${machine.cpu}, ${machine.cores} cores; Node ${runtimes.map(({ version }) => version).join(', ')}; commit ${machine.commit}`);
  if (planCpus(1).shared) say('Too few cores: the load shares them with the stores, and the figures are rough.');
  if (machine.loadBefore > 1) say(`The machine is busy (load average ${machine.loadBefore}): only ratios mean anything, if that.`);
  const stores = await startStores(options.mongodbUri);
  try {
    await seedUsers(stores.mongodbUri, USERS);
    const bench = createBench({ options, runtimes, stores, figures, say });
    for (const question of chosen(options)) {
      say(question.title);
      // One question that fails must not take half an hour of figures with it.
      await question.ask(bench).catch((error: unknown) => {
        console.error(error);
        process.exitCode = 1;
      });
    }
  } finally {
    await stores.close();
  }
  // Not all options: a database's URI may hold a password.
  const { rounds, seconds, warmSeconds, connections } = options;
  return { machine, runtimes, options: { rounds, seconds, warmSeconds, connections }, figures };
}

/** What earlier runs wrote. The last run describes the machine. */
function read(files: readonly string[]): Outcome {
  const runs = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Run);
  const last = runs.at(-1);
  if (last === undefined) throw new Error('no files');
  const latest = new Map(
    runs.flatMap((run) => run.figures).map((one) => [[one.question, one.name, one.contestant, one.node].join('|'), one]),
  );
  const figures = createFigures();
  for (const { samples, ...key } of latest.values()) for (const sample of samples) figures.add(key, sample);
  return { ...last, figures, runs };
}

async function main(options: Options): Promise<void> {
  const outcome = options.report.length > 0 ? read(options.report) : await measure(options);
  const { figures, runtimes, machine } = outcome;
  const nodes = runtimes.map(({ major }) => major);
  const goals = goalRows(figures, nodes);
  for (const { text, node, goal, value, met } of goals) {
    say(`${met ? '✓' : '✗'} ${text}, Node ${node}: ${show(value.median)} (${show(value.min)} to ${show(value.max)}), goal ${goal}`);
  }
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ ...outcome, runs: undefined, figures: figures.all }, undefined, 1)}\n`);
  if (!options.write) return;
  // The compiled program stands in dist/bench; the results belong beside its source.
  const folder = join(__dirname, '..', '..', 'bench');
  writeFileSync(join(folder, 'RESULTS.md'), markdown({ ...outcome, goals, questions }));
  writeFileSync(join(folder, 'results.svg'), picture(figures, runtimes, machine));
  say('Written: bench/RESULTS.md and bench/results.svg');
}

const say = (line: string): void => console.log(line);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));
process.setMaxListeners(100);

let options: Options | undefined;
try {
  options = parseOptions(process.argv.slice(2));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  process.exitCode = 64;
}
if (options !== undefined) {
  main(options).catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  });
}
