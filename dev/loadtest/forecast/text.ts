import { type Check, type Cost, ERROR_GOAL, PLANNED_USE, type Plan } from './plan';

const number = (value: number, digits = 2) =>
  value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
const whole = (value: number) => Math.round(value).toLocaleString('en');
const count = (value: number, one: string) =>
  `${value.toLocaleString('en')} ${one}${value === 1 ? '' : 's'}`;

export const costLine = ({ cpu, hashing, mongoCommands }: Cost, most: number): string =>
  `  One request: ${number(cpu.perRequest * 1000, 3)} ms of processor time (${number(hashing.perRequest * 1000, 2)} ms of it hashing), ${number(mongoCommands.perRequest)} commands of MongoDB; here at most ${whole(most)}/s.`;

export function planLines(scenario: string, plan: Plan): readonly string[] {
  const { rate, busy, hashing, workers, hosts, coresPerHost, mongoCommands } = plan;
  const hashed = hashing >= 0.01 ? ` (${number(hashing)} of them hash passwords)` : '';
  return [
    `Forecast for ${scenario} at ${rate.toLocaleString('en')} requests/s:`,
    `  They keep ${number(busy)} processors busy${hashed}.`,
    `  At ${PLANNED_USE * 100} % use of each, one worker per processor: ${count(workers, 'worker')}.`,
    `  With ${count(coresPerHost, 'core')} a host: ${count(hosts, 'host')}, and one more for the loss of a host.`,
    `  MongoDB gets ${whole(mongoCommands)} commands/s; whether yours can do that is not part of this forecast.`,
    '  The figures are of processors like those of the target, with its other settings.',
  ];
}

export function checkLines(checks: readonly Check[], machine: string): readonly string[] {
  const worst = Math.max(...checks.map(({ error }) => Math.abs(error)));
  const percent = (share: number) =>
    `${share >= 0 ? '+' : '−'}${number(Math.abs(share) * 100, 1)} %`;
  return [
    'Check at a higher rate: processors busy, as forecast and as measured',
    ...checks.map(
      ({ name, rate, predictedCpu, measuredCpu, error }) =>
        `  ${name.padEnd(14)} ${`${whole(rate)}/s`.padStart(9)} ${number(predictedCpu, 3).padStart(7)} ${number(measuredCpu, 3).padStart(7)}  ${percent(error).padStart(8)}`,
    ),
    `  Largest error ${number(worst * 100, 1)} %, goal ${ERROR_GOAL * 100} %: ${worst <= ERROR_GOAL ? 'met' : 'not met'}. ${machine}`,
  ];
}
