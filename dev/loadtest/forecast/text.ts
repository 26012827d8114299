import type { KindName } from '../scenarios';
import type { Costs } from './costs';
import { type Check, ERROR_GOAL, PLANNED_USE, type Plan } from './plan';

const number = (value: number, digits = 2) =>
  value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
const count = (value: number, one: string) =>
  `${value.toLocaleString('en')} ${one}${value === 1 ? '' : 's'}`;

export function costLines(costs: Costs): readonly string[] {
  const rows = Object.entries(costs) as [KindName, NonNullable<Costs[KindName]>][];
  return [
    'Measured, of one request: processor time of the workers, the hashing in it, commands of MongoDB',
    ...rows.map(
      ([kind, { cpuMs, hashMs, mongoCommands }]) =>
        `  ${kind.padEnd(14)} ${number(cpuMs, 3).padStart(9)} ms ${number(hashMs, 2).padStart(8)} ms ${number(mongoCommands).padStart(7)}`,
    ),
  ];
}

export function planLines(scenario: string, plan: Plan, cpuMs: number): readonly string[] {
  const { rate, busy, hashing, workers, hosts, coresPerHost, mongoCommands } = plan;
  const hashed = hashing >= 0.01 ? ` (${number(hashing)} of them hash passwords)` : '';
  return [
    `Forecast for ${scenario} at ${rate.toLocaleString('en')} requests/s:`,
    `  ${number(cpuMs, 3)} ms × ${rate.toLocaleString('en')}/s keep ${number(busy)} processors busy${hashed}.`,
    `  At ${PLANNED_USE * 100} % use of each, one worker per processor: ${count(workers, 'worker')}.`,
    `  With ${count(coresPerHost, 'core')} a host: ${count(hosts, 'host')}, and one more for the loss of a host.`,
    `  MongoDB gets ${Math.round(mongoCommands).toLocaleString('en')} commands/s; whether yours can do that is not part of this forecast.`,
    '  The figures are of processors like those of the target, with its other settings.',
  ];
}

export function checkLines(checks: readonly Check[], machine: string): readonly string[] {
  const worst = Math.max(...checks.map(({ error }) => Math.abs(error)));
  const percent = (share: number) =>
    `${share >= 0 ? '+' : '−'}${number(Math.abs(share) * 100, 1)} %`;
  return [
    'Check: the processor time of a request, as forecast from its kinds and as measured in the mix',
    ...checks.map(
      ({ name, predictedMs, measuredMs, error }) =>
        `  ${name.padEnd(14)} ${number(predictedMs, 3).padStart(9)} ms ${number(measuredMs, 3).padStart(9)} ms  ${percent(error).padStart(8)}`,
    ),
    `  Largest error ${number(worst * 100, 1)} %, goal ${ERROR_GOAL * 100} %: ${worst <= ERROR_GOAL ? 'met' : 'not met'}. ${machine}`,
  ];
}
