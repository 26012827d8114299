import type { Measured } from './meter';

/** Of each processor, the share that a plan may use: the rest is for peaks and a lost worker. */
export const PLANNED_USE = 0.7;

/** `fixed + perRequest × rate`, of something a second. */
interface Line {
  readonly fixed: number;
  readonly perRequest: number;
}

/** Of all measured workers together, in seconds a second and commands a second. */
export interface Cost {
  readonly cpu: Line;
  readonly hashing: Line;
  readonly mongoCommands: Line;
}

const at = ({ fixed, perRequest }: Line, rate: number): number => fixed + perRequest * rate;

/** The costs that some rates of one mix had. */
export const costOf = (measured: readonly Measured[]): Cost => ({
  cpu: lineThrough(measured, ({ cpu }) => cpu),
  hashing: lineThrough(measured, ({ hashing }) => hashing),
  mongoCommands: lineThrough(measured, ({ mongoCommands }) => mongoCommands),
});

/** Least squares. Nothing costs less than nothing at rate 0: else through the origin. */
function lineThrough(measured: readonly Measured[], pick: (one: Measured) => number): Line {
  const points = measured.map((one) => ({ x: one.answers, y: pick(one) }));
  const mean = (of: (point: { x: number; y: number }) => number) =>
    points.reduce((total, point) => total + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const spread = mean((point) => (point.x - x) ** 2);
  const perRequest = mean((point) => (point.x - x) * (point.y - y)) / spread;
  const fixed = y - perRequest * x;
  if (perRequest > 0 && fixed >= 0) return { fixed, perRequest };
  return {
    fixed: 0,
    perRequest: mean((point) => point.x * point.y) / mean(({ x: one }) => one ** 2),
  };
}

export interface Plan {
  readonly rate: number;
  /** Processors busy at the rate, hashing included. */
  readonly busy: number;
  readonly hashing: number;
  /** One per core. */
  readonly workers: number;
  readonly hosts: number;
  readonly coresPerHost: number;
  readonly mongoCommands: number;
}

/** Of the deployment that was measured. */
export interface Observed {
  readonly workers: number;
  /** Seconds of processor time a second, without load. */
  readonly idleCpu: number;
}

/** What a worker does at any rate, each further worker does as well. */
export function planFor(cost: Cost, seen: Observed, rate: number, coresPerHost: number): Plan {
  const fixed = (seen.idleCpu + cost.cpu.fixed) / seen.workers;
  const left = PLANNED_USE - fixed;
  if (left <= 0)
    throw new Error(
      `Each worker uses ${Math.round(fixed * 100)} % of a processor whatever the rate, more than a plan may (${PLANNED_USE * 100} %).`,
    );
  const workers = Math.max(1, Math.ceil((rate * cost.cpu.perRequest) / left));
  return {
    ...{ rate, workers, coresPerHost },
    busy: workers * fixed + rate * cost.cpu.perRequest,
    hashing: at(cost.hashing, rate),
    hosts: Math.ceil(workers / coresPerHost),
    mongoCommands: at(cost.mongoCommands, rate),
  };
}

export interface Check {
  readonly name: string;
  /** Answers a second at which it was measured. */
  readonly rate: number;
  readonly predictedCpu: number;
  readonly measuredCpu: number;
  /** Of the prediction: 0.1 is 10 % too much. */
  readonly error: number;
}

export const ERROR_GOAL = 0.2;

export function checkOf(name: string, cost: Cost, { answers, cpu }: Measured): Check {
  const predictedCpu = at(cost.cpu, answers);
  const error = predictedCpu / cpu - 1;
  return { name, rate: answers, predictedCpu, measuredCpu: cpu, error };
}
