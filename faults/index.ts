import { readdirSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { watchStarted } from '../tests/support/started-processes';
import { type Result, verdict, writeReport } from './report';
import { type Outcome, type Scenario, SkipScenario, type Suite } from './scenario';

const USAGE = 'usage: npm run faults -- SUITE [--only NAME] [--quick] [--no-planted] [--no-report]';

/**
 * Every `faults/NAME.ts` that exports `suite` is a suite; found by its name, so that suites need no
 * common list.
 */
function loadSuite(name: string): Suite {
  if (!readdirSync(__dirname).includes(`${name}.js`))
    throw new Error(`there is no suite "${name}"\n${USAGE}`);
  const { suite } = require(`./${name}`) as { suite?: Suite };
  if (suite === undefined) throw new Error(`faults/${name}.ts exports no suite\n${USAGE}`);
  return suite;
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
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      'no-planted': { type: 'boolean', default: false },
      'no-report': { type: 'boolean', default: false },
    },
  });
  const suite = loadSuite(positionals[0] ?? '');
  const chosen = suite.scenarios.filter(
    (scenario) => values.only === undefined || scenario.name === values.only,
  );
  if (chosen.length === 0)
    throw new Error(`there is no scenario "${values.only}" in ${suite.name}`);
  const results: Result[] = [];
  for (const scenario of chosen) {
    const result = {
      ...(await runOne(scenario, values.quick, !values['no-planted'])),
      loadAverage: Math.round(loadavg()[0] ?? 0),
    };
    results.push(result);
    console.log(JSON.stringify({ ...result, verdict: verdict(result) }));
    // After each one: a suite takes long, and may be broken off. Quick results, and results without
    // planted faults, must not replace complete ones.
    if (!values.quick && !values['no-planted'] && !values['no-report'])
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

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
});
