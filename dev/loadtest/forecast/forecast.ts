import { loadavg } from 'node:os';
import type { Deployment } from '../deployment';
import { startGenerator } from '../load/generator';
import { watchMachine } from '../machine';
import type { ForecastOptions } from '../options';
import {
  KIND_NAMES,
  type KindName,
  type Mix,
  SCENARIO_NAMES,
  SCENARIOS,
  type ScenarioName,
} from '../scenarios';
import { assertReady, isHere, openSessions } from '../target';
import { type Cost, type Costs, costOf, type Measured, type Meter, openMeter } from './costs';
import { type Check, checkOf, ERROR_GOAL, planFor } from './plan';
import { checkLines, costLines, planLines } from './text';

/** Connections per worker of the steps. The step with the most answers counts. */
const STEPS = [2, 8] as const;
const STEP_SECONDS = 6;
const CHECK_SECONDS = 12;
const WARM_SECONDS = 4;
/** Hashes last longest. */
const LONGEST_SECONDS = 600;

type Say = (line: string) => void;

/** Resolves with the exit code: 1 when a check was asked for and failed. */
export async function runForecast(
  options: ForecastOptions,
  deployment: Deployment,
  signal: AbortSignal,
  say: Say,
): Promise<number> {
  await assertReady(options.target);
  const minted = await openSessions(deployment, options, LONGEST_SECONDS);
  const generator = await startGenerator(options.processes);
  signal.addEventListener('abort', () => generator.stop(), { once: true });
  try {
    const { target, metrics } = options;
    const meter = await openMeter({ target, metrics, users: minted.users, generator });
    const mixes = options.check ? SCENARIO_NAMES : [options.scenario];
    const costs = await measureKinds(meter, mixes, signal, say);
    for (const line of costLines(costs)) say(line);
    const cost = costOf(SCENARIOS[options.scenario], costs);
    const plan = planFor(cost, options.rate, options.coresPerHost);
    for (const line of planLines(options.scenario, plan, cost.cpuMs)) say(line);
    if (!options.check) return 0;
    const busy = watchMachine();
    const checks = await checkMixes(meter, costs, signal, say);
    const machine = isHere(target)
      ? `This machine was busy ${Math.round(busy() * 100)} % of the time, load average ${(loadavg()[0] ?? 0).toFixed(1)}.`
      : '';
    for (const line of checkLines(checks, machine)) say(line);
    return checks.every(({ error }) => Math.abs(error) <= ERROR_GOAL) ? 0 : 1;
  } finally {
    await generator.close();
    await minted.remove();
  }
}

async function measureKinds(
  meter: Meter,
  scenarios: readonly ScenarioName[],
  signal: AbortSignal,
  say: Say,
): Promise<Costs> {
  const kinds = KIND_NAMES.filter((kind) =>
    scenarios.some((name) => SCENARIOS[name][kind] !== undefined),
  );
  const seconds = kinds.length * (WARM_SECONDS + STEPS.length * STEP_SECONDS);
  say(`${kinds.length} kinds of requests are measured, about ${seconds} s.`);
  const costs: Partial<Record<KindName, Cost>> = {};
  for (const [n, kind] of kinds.entries()) {
    const best = await stepsOf(meter, { [kind]: 1 }, signal);
    say(`  ${n + 1} of ${kinds.length}: ${kind}, ${Math.round(best.perSecond)} answers/s`);
    costs[kind] = best;
  }
  return costs;
}

async function stepsOf(meter: Meter, mix: Mix, signal: AbortSignal): Promise<Measured> {
  await meter.measure(mix, STEPS[0], WARM_SECONDS);
  const steps: Measured[] = [];
  for (const connections of STEPS) {
    signal.throwIfAborted();
    steps.push(await meter.measure(mix, connections, STEP_SECONDS));
  }
  return steps.reduce((best, step) => (step.perSecond > best.perSecond ? step : best));
}

async function checkMixes(
  meter: Meter,
  costs: Costs,
  signal: AbortSignal,
  say: Say,
): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const name of SCENARIO_NAMES) {
    signal.throwIfAborted();
    say(`  checking ${name}, ${CHECK_SECONDS} s`);
    const mix = SCENARIOS[name];
    const measured = await meter.measure(mix, STEPS[1], CHECK_SECONDS);
    checks.push(checkOf(name, costOf(mix, costs), measured));
  }
  return checks;
}
