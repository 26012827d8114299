import { loadavg } from 'node:os';
import type { Deployment } from '../deployment';
import { startGenerator } from '../load/generator';
import { watchMachine } from '../machine';
import type { ForecastOptions } from '../options';
import { type Mix, SCENARIO_NAMES, SCENARIOS } from '../scenarios';
import { assertReady, isHere, openSessions } from '../target';
import { type Meter, openMeter } from './meter';
import { type Check, type Cost, checkOf, costOf, ERROR_GOAL, planFor } from './plan';
import { checkLines, costLine, planLines } from './text';

/** A closed loop finds the most that the service does now. Connections per worker. */
const MOST_CONNECTIONS = 8;
/**
 * A new worker does half as much as later, until its code is compiled and its caches are full. So
 * the closed loop is repeated until it gains less than this.
 */
const WARM_SECONDS = 5;
const WARM_GAIN = 1.05;
const WARM_TIMES = 8;
/**
 * Shares of the most. Far apart, or the line through them would be made of their noise. The check
 * is at more than what the forecast was made of. An open loop opens more connections, and reaches
 * less than the closed one on a machine that also runs the load.
 */
const MEASURED_SHARES = [0.1, 0.4] as const;
const CHECK_SHARE = 0.5;
const STEP_SECONDS = 10;
/** A step at a low rate lasts longer, so that the rarest kind of the mix occurs so often in it. */
const RAREST_COUNT = 20;
const MOST_STEP_SECONDS = 30;
const MIX_SECONDS = 3 * WARM_SECONDS + MEASURED_SHARES.length * STEP_SECONDS;
/** Of the sessions, more than all of it takes. */
const LONGEST_SECONDS = 600;

type Say = (line: string) => void;

interface Fitted {
  readonly cost: Cost;
  /** Answers a second of the closed loop. */
  readonly most: number;
}

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
    const { target, metrics, scenario, mix, rate, coresPerHost } = options;
    const meter = await openMeter({ target, metrics, users: minted.users, generator });
    say(
      `${scenario} is measured, about ${MIX_SECONDS} s, longer on a service that has just started.`,
    );
    const fitted = await measureCost(meter, mix, signal);
    say(costLine(fitted.cost, fitted.most));
    for (const line of planLines(scenario, planFor(fitted.cost, meter, rate, coresPerHost)))
      say(line);
    if (!options.check) return 0;
    return await check(meter, options, fitted, signal, say);
  } finally {
    await generator.close();
    await minted.remove();
  }
}

async function measureCost(meter: Meter, mix: Mix, signal: AbortSignal): Promise<Fitted> {
  const most = await mostOf(meter, mix, signal);
  const measured = [];
  for (const share of MEASURED_SHARES) {
    signal.throwIfAborted();
    const rate = Math.max(1, most * share);
    measured.push(await meter.measure(mix, { rate }, stepSeconds(mix, rate)));
  }
  return { cost: costOf(measured), most };
}

/** Answers a second. */
async function mostOf(meter: Meter, mix: Mix, signal: AbortSignal): Promise<number> {
  let most = 0;
  for (let times = 0; times < WARM_TIMES; times += 1) {
    signal.throwIfAborted();
    const { answers } = await meter.measure(mix, { connections: MOST_CONNECTIONS }, WARM_SECONDS);
    const hasSettled = answers < most * WARM_GAIN;
    most = Math.max(most, answers);
    if (hasSettled) break;
  }
  return most;
}

function stepSeconds(mix: Mix, rate: number): number {
  const weights = Object.values(mix);
  const rarest = Math.min(...weights) / weights.reduce((total, weight) => total + weight, 0);
  const seconds = Math.ceil(RAREST_COUNT / (rate * rarest));
  return Math.min(MOST_STEP_SECONDS, Math.max(STEP_SECONDS, seconds));
}

/** Whether the forecast of a higher rate holds, for the chosen mix and every scenario. */
async function check(
  meter: Meter,
  { scenario, mix, target }: ForecastOptions,
  chosen: Fitted,
  signal: AbortSignal,
  say: Say,
): Promise<number> {
  const others = SCENARIO_NAMES.filter((name) => name !== scenario);
  const mixes = new Map<string, Mix>(others.map((name) => [name, SCENARIOS[name]]));
  const busy = watchMachine();
  const checks: Check[] = [];
  for (const [name, one] of [[scenario, mix] as const, ...mixes]) {
    signal.throwIfAborted();
    say(`  checking ${checks.length + 1} of ${mixes.size + 1}: ${name}`);
    const { cost, most } = name === scenario ? chosen : await measureCost(meter, one, signal);
    const rate = most * CHECK_SHARE;
    const measured = await meter.measure(one, { rate }, stepSeconds(one, rate));
    checks.push(checkOf(name, cost, measured));
  }
  const machine = isHere(target)
    ? `This machine was busy ${Math.round(busy() * 100)} % of the time, load average ${(loadavg()[0] ?? 0).toFixed(1)}.`
    : '';
  for (const line of checkLines(checks, machine)) say(line);
  return checks.every(({ error }) => Math.abs(error) <= ERROR_GOAL) ? 0 : 1;
}
