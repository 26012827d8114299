import type { Generator } from '../load/generator';
import { isWhole, type Reading, readMetrics } from '../metrics';
import { type KindName, type Mix, type TestUser, trafficOf } from '../scenarios';
import { refusals, sum } from '../timeline';

/** Of one request, on average. */
export interface Cost {
  /** Processor time of the workers, hashing threads included. */
  readonly cpuMs: number;
  /** The part of it that hashed passwords. */
  readonly hashMs: number;
  readonly mongoCommands: number;
}

export interface Measured extends Cost {
  readonly answers: number;
  readonly perSecond: number;
}

export interface Meter {
  readonly workers: number;
  /** Processor time a second of the service without load. */
  readonly idleCpu: number;
  /** A closed loop of the mix. Throws when more than a hundredth of the answers are errors. */
  measure(mix: Mix, connectionsPerWorker: number, seconds: number): Promise<Measured>;
}

export interface MeterOptions {
  readonly target: string;
  readonly metrics: string;
  readonly users: readonly TestUser[];
  readonly generator: Generator;
}

const IDLE_MS = 2000;
const TIMEOUT_SECONDS = 30;

export async function openMeter(options: MeterOptions): Promise<Meter> {
  const { target, metrics, users, generator } = options;
  const before = await readingAt(metrics);
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const after = await readingAt(metrics, before);
  const idleCpu = (after.cpuSeconds - before.cpuSeconds) / ((after.atMs - before.atMs) / 1000);
  return {
    workers: after.workers,
    idleCpu,
    async measure(mix, connectionsPerWorker, seconds) {
      const from = await readingAt(metrics);
      const timeline = await generator.run({
        ...{ url: target, kinds: trafficOf(mix, users), seconds, timeoutSeconds: TIMEOUT_SECONDS },
        loop: { kind: 'closed', connections: connectionsPerWorker * after.workers },
      });
      const to = await readingAt(metrics, from);
      const { answers, statuses, failures } = timeline.totals();
      const bad = refusals(statuses) + sum(failures);
      if (answers === 0 || bad > answers * 0.01)
        throw new Error(
          `${Object.keys(mix).join(', ')}: ${bad} of ${answers + sum(failures)} requests failed (${described({ ...statuses, ...failures })}). A forecast needs good answers: RATE_LIMIT=false on the target, and fewer requests at once.`,
        );
      return { ...costBetween(from, to, answers, idleCpu), answers, perSecond: answers / seconds };
    },
  };
}

function costBetween(from: Reading, to: Reading, answers: number, idleCpu: number): Cost {
  const seconds = (to.atMs - from.atMs) / 1000;
  const cpu = Math.max(0, to.cpuSeconds - from.cpuSeconds - idleCpu * seconds);
  // A hash that waited for a processor took longer than its processor time.
  const hash = Math.min(to.hashSeconds - from.hashSeconds, cpu);
  return {
    cpuMs: (cpu * 1000) / answers,
    hashMs: (hash * 1000) / answers,
    mongoCommands: (to.mongoCommands - from.mongoCommands) / answers,
  };
}

const described = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([name, count]) => `${name}: ${count}`)
    .join(', ');

/** A reading of all workers, of which a busy one may need several tries. */
async function readingAt(url: string, before?: Reading): Promise<Reading> {
  for (let tries = 0; tries < 5; tries += 1) {
    const reading = await readMetrics(url, 10_000);
    if (reading === undefined)
      throw new Error(`${url} cannot be read, or is not this service's /metrics.`);
    if (isWhole(reading, before)) return reading;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error('A worker of the target did not tell its metrics, or has restarted.');
}

export type Costs = Readonly<Partial<Record<KindName, Cost>>>;

/** The cost of the average request of a mix. */
export function costOf(mix: Mix, costs: Costs): Cost {
  const parts = Object.entries(mix).map(([kind, weight]) => {
    const cost = costs[kind as KindName];
    if (cost === undefined) throw new Error(`${kind} was not measured`);
    return { weight, cost };
  });
  const total = parts.reduce((all, { weight }) => all + weight, 0);
  const mean = (pick: (cost: Cost) => number) =>
    parts.reduce((all, { weight, cost }) => all + weight * pick(cost), 0) / total;
  return {
    cpuMs: mean(({ cpuMs }) => cpuMs),
    hashMs: mean(({ hashMs }) => hashMs),
    mongoCommands: mean(({ mongoCommands }) => mongoCommands),
  };
}
