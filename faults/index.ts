import { readdirSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseValues } from '../src/app/cli/arguments';
import { refuseWords, runCli, UsageError } from '../src/app/cli/run';
import { watchStarted } from '../tests/support/started-processes';
import { type Result, verdict, writeReport } from './report';
import { type Outcome, type Scenario, SkipScenario, type Suite } from './scenario';

/** A suite is a `faults/NAME.ts` that exports `suite`: no list has to name it. */
const SUITES = readdirSync(__dirname)
  .filter((file) => file.endsWith('.js'))
  .filter((file) => /^exports\.suite = /m.test(readFileSync(join(__dirname, file), 'utf8')))
  .map((file) => file.slice(0, -'.js'.length));

const HELP = `Usage: npm run faults -- SUITE [OPTIONS]

Breaks the service on purpose under load, and checks what must hold meanwhile. Each scenario runs
twice: as the service is, and with one safeguard taken away (the planted fault), where the goal must
be missed. Results are written to docs/faults.md and faults/results/.

SUITE is one of
  ${SUITES.join(', ')}

--only NAME    one scenario of the suite
--quick        shorter runs; writes no results
--no-planted   leaves out the planted faults; writes no results
--no-report    writes no results

Exit codes:
  0   every goal was met, and every planted fault was noticed
  1   a goal was missed, or a planted fault was not noticed
  64  invalid command, nothing was run
  70  failed, see the message
`;

function loadSuite(name: string | undefined): Suite {
  if (name === undefined) throw new UsageError(`A suite is missing.\n\n${HELP}`);
  if (!SUITES.includes(name))
    throw new UsageError(`There is no suite ${JSON.stringify(name)}.\n\n${HELP}`);
  return (require(`./${name}`) as { suite: Suite }).suite;
}

async function runOne(scenario: Scenario, quick: boolean, withPlanted: boolean): Promise<Result> {
  const { name, title, goal, planted } = scenario;
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 100) / 10;
  try {
    const outcome = await scenario.run({ quick, planted: false });
    const result: Result = { name, title, goal, planted, outcome, seconds: seconds() };
    if (planted === undefined || !withPlanted) return result;
    return {
      ...result,
      plantedOutcome: await scenario.run({ quick, planted: true }),
      seconds: seconds(),
    };
  } catch (error) {
    if (error instanceof SkipScenario)
      return { name, title, goal, planted, skipped: error.message, seconds: seconds() };
    const crashed: Outcome = {
      met: false,
      figures: { error: error instanceof Error ? error.message : String(error) },
    };
    console.error(error);
    return { name, title, goal, planted, outcome: crashed, seconds: seconds() };
  }
}

async function main(): Promise<void> {
  const { words, values } = parseValues(process.argv.slice(2), {
    texts: ['only'],
    flags: ['quick', 'no-planted', 'no-report'],
  });
  if (values.help) return void process.stdout.write(HELP);
  const suite = loadSuite(words[0]);
  refuseWords(words.slice(1), HELP);
  const { only, quick: isQuick, 'no-planted': isUnplanted } = values;
  const chosen = suite.scenarios.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) {
    const names = suite.scenarios.map(({ name }) => name).join(', ');
    throw new UsageError(`There is no scenario ${only} in ${suite.name}; there are ${names}.`);
  }
  const results: Result[] = [];
  for (const scenario of chosen) {
    const result = {
      ...(await runOne(scenario, isQuick, !isUnplanted)),
      loadAverage: Math.round(loadavg()[0] ?? 0),
    };
    results.push(result);
    console.log(JSON.stringify({ ...result, verdict: verdict(result) }));
    // After each one: a suite takes long, and may be broken off. Quick results, and results without
    // planted faults, must not replace complete ones.
    if (!isQuick && !isUnplanted && !values['no-report'])
      writeReport(suite, [result], new Date().toISOString().slice(0, 10));
  }
  if (results.some((result) => !['met', 'skipped'].includes(verdict(result)))) process.exitCode = 1;
}

const started = watchStarted();
process.on('exit', started.kill);
// A signal alone would skip the exit hooks, which end the started processes and networks.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(signal, () => process.exit(code));

runCli(main);
