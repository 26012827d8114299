import type { Generator } from '../load/generator';
import { isWhole, type Reading, readMetrics } from '../metrics';
import { type Mix, type TestUser, trafficOf } from '../scenarios';
import { refusals, sum } from '../timeline';

/** Each for one second of a load. */
export interface Measured {
  readonly answers: number;
  /**
   * Seconds of processor time of the workers, hashing threads included, less those without load.
   */
  readonly cpu: number;
  /** The part of it that hashed passwords. */
  readonly hashing: number;
  readonly mongoCommands: number;
}

/** Closed loop: connections per worker. Open loop: requests a second. */
type Load = { readonly connections: number } | { readonly rate: number };

export interface Meter {
  readonly workers: number;
  /** Seconds of processor time a second, without load. */
  readonly idleCpu: number;
  /** Throws when more than a hundredth of the answers are errors. */
  measure(mix: Mix, load: Load, seconds: number): Promise<Measured>;
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
  const { workers } = after;
  const idleCpu = (after.cpuSeconds - before.cpuSeconds) / ((after.atMs - before.atMs) / 1000);
  return {
    workers,
    idleCpu,
    async measure(mix, load, seconds) {
      const from = await readingAt(metrics);
      const timeline = await generator.run({
        ...{ url: target, kinds: trafficOf(mix, users), seconds, timeoutSeconds: TIMEOUT_SECONDS },
        loop:
          'rate' in load
            ? { kind: 'open', rate: load.rate }
            : { kind: 'closed', connections: load.connections * workers },
      });
      const to = await readingAt(metrics, from);
      const { answers, statuses, failures } = timeline.totals();
      const bad = refusals(statuses) + sum(failures);
      if (answers === 0 || bad > answers * 0.01)
        throw new Error(
          `${Object.keys(mix).join(', ')}: ${bad} of ${answers + sum(failures)} requests failed (${described({ ...statuses, ...failures })}). A forecast needs good answers: RATE_LIMIT=false on the target, and fewer requests at once.`,
        );
      return between(from, to, answers, idleCpu);
    },
  };
}

function between(from: Reading, to: Reading, answers: number, idleCpu: number): Measured {
  const seconds = (to.atMs - from.atMs) / 1000;
  const cpu = Math.max(0, (to.cpuSeconds - from.cpuSeconds) / seconds - idleCpu);
  return {
    answers: answers / seconds,
    cpu,
    // A hash that waited for a processor took longer than its processor time.
    hashing: Math.min((to.hashSeconds - from.hashSeconds) / seconds, cpu),
    mongoCommands: (to.mongoCommands - from.mongoCommands) / seconds,
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
