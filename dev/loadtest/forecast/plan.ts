import type { Cost } from './costs';

/** Of each processor, the share that a plan may use: the rest is for peaks and a lost worker. */
export const PLANNED_USE = 0.7;

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

export function planFor(cost: Cost, rate: number, coresPerHost: number): Plan {
  const busy = (rate * cost.cpuMs) / 1000;
  const workers = Math.max(1, Math.ceil(busy / PLANNED_USE));
  return {
    ...{ rate, busy, workers, coresPerHost },
    hashing: (rate * cost.hashMs) / 1000,
    hosts: Math.ceil(workers / coresPerHost),
    mongoCommands: rate * cost.mongoCommands,
  };
}

export interface Check {
  readonly name: string;
  readonly predictedMs: number;
  readonly measuredMs: number;
  /** Of the prediction: 0.1 is 10 % too much. */
  readonly error: number;
}

export const ERROR_GOAL = 0.2;

export const checkOf = (name: string, predicted: Cost, measured: Cost): Check => ({
  name,
  predictedMs: predicted.cpuMs,
  measuredMs: measured.cpuMs,
  error: predicted.cpuMs / measured.cpuMs - 1,
});
