import type { Reading } from './metrics';
import { latencyAt, refusals, type Second, sum, type Totals } from './timeline';

type Resource =
  | 'event loops'
  | 'hash queue'
  | 'MongoDB'
  | 'Redis'
  | 'load generator'
  | 'target rate'
  | 'rate limiter'
  | 'processors of this machine'
  | 'connections'
  | 'unknown';

/** Something measured that a conclusion stands on. */
interface Evidence {
  readonly name: string;
  readonly value: string;
}

export interface Limit {
  readonly resource: Resource;
  readonly sentence: string;
  readonly evidence: readonly Evidence[];
}

export interface Observed {
  readonly totals: Totals;
  readonly seconds: readonly Second[];
  readonly durationSeconds: number;
  readonly loop:
    | { readonly kind: 'closed'; readonly connections: number }
    | { readonly kind: 'open'; readonly rate: number };
  readonly readings: readonly Reading[];
  /** Busy share of this machine's processors; undefined when the target is elsewhere. */
  readonly machineBusy: number | undefined;
}

/** Over the time between the first and the last reading, per second. */
export interface Use {
  readonly workers: number;
  /** Share of one processor that a worker's own thread used. */
  readonly loop: number;
  /** Share of the time in which a worker's event loop did not wait for work. */
  readonly loopActive: number;
  /** Processors that hashed. */
  readonly hashing: number;
  readonly hashQueue: number;
  readonly hashRefused: number;
  /** Commands in flight at MongoDB. */
  readonly mongo: number;
  readonly mongoMs: number;
  readonly mongoWaiting: number;
  /** Share of the requests' time that went to commands of MongoDB. */
  readonly mongoShare: number;
  readonly redisInUse: boolean;
  readonly redisOutstanding: number;
  readonly redisFaults: number;
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((total, one) => total + one, 0) / values.length;

export function useOf(readings: readonly Reading[]): Use | undefined {
  const [first, last] = [readings[0], readings.at(-1)];
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return undefined;
  const seconds = (last.atMs - first.atMs) / 1000;
  const grown = (pick: (reading: Reading) => number) => Math.max(0, pick(last) - pick(first));
  const during = readings.slice(1, -1).length > 0 ? readings.slice(1, -1) : readings;
  const average = (pick: (reading: Reading) => number) => mean(during.map(pick));
  const workers = Math.max(
    1,
    average(({ workers: ready }) => ready),
  );
  const cpu = grown(({ cpuSeconds }) => cpuSeconds) / seconds;
  // A hash takes longer than its processor time where processors are few.
  const hashing = Math.min(cpu, grown(({ hashSeconds }) => hashSeconds) / seconds);
  const requestSeconds = grown((one) => one.requestSeconds);
  const mongoSeconds = grown((one) => one.mongoSeconds);
  const commands = grown(({ mongoCommands }) => mongoCommands);
  return {
    workers,
    loop: (cpu - hashing) / workers,
    loopActive: grown(({ loopSeconds }) => loopSeconds) / seconds / workers,
    hashing,
    hashQueue: average(({ hashQueue }) => hashQueue),
    hashRefused: grown(({ hashRefused }) => hashRefused),
    mongo: mongoSeconds / seconds,
    mongoMs: commands === 0 ? 0 : (mongoSeconds * 1000) / commands,
    mongoWaiting: average(({ mongoWaiting }) => mongoWaiting),
    mongoShare: requestSeconds === 0 ? 0 : mongoSeconds / requestSeconds,
    redisInUse: last.redisInUse,
    redisOutstanding: average(({ redisOutstanding }) => redisOutstanding),
    redisFaults: grown(({ redisErrors }) => redisErrors) + last.breakersOpen,
  };
}

const BUSY_GENERATOR = 0.9;
const BUSY_LOOP = 0.8;
const BUSY_MACHINE = 0.92;
const REACHED = 0.97;
const percent = (share: number) => `${Math.round(share * 100)} %`;

/** Names what kept the run from more, by the first of these that holds. */
export function limitOf(observed: Observed): Limit {
  const use = useOf(observed.readings);
  const busy = mean(observed.seconds.map((second) => second.busy));
  const evidence = evidenceOf(observed, use, busy);
  const [resource, sentence] = conclusion(observed, use, busy);
  return { resource, sentence, evidence };
}

function conclusion(observed: Observed, use: Use | undefined, busy: number): [Resource, string] {
  const { totals, loop, machineBusy } = observed;
  const limited = totals.statuses['429'] ?? 0;
  if (limited > totals.answers * 0.05)
    return [
      'rate limiter',
      `The service's rate limiter: ${percent(limited / totals.answers)} of the answers were 429. Set RATE_LIMIT=false on the target to measure the rest.`,
    ];
  if (loop.kind === 'open' && hasKeptUp(observed, loop.rate))
    return [
      'target rate',
      `The target rate: the service answered all ${loop.rate.toLocaleString('en')} requests a second, and may be able to do more.`,
    ];
  if (busy >= BUSY_GENERATOR)
    return [
      'load generator',
      `The load generator itself: its busiest process was busy ${percent(busy)} of the time. Use --processes, or more machines.`,
    ];
  if (use === undefined)
    return ['unknown', 'Unknown: the metrics of the target could not be read (--metrics URL).'];
  return byWork(use) ?? byMachine(machineBusy) ?? byStores(use) ?? rest(loop);
}

/** What does not depend on how fast the others are. */
function byWork(use: Use): [Resource, string] | undefined {
  const perWorker = use.hashQueue / use.workers;
  if (use.hashRefused > 0 || perWorker >= 1)
    return [
      'hash queue',
      `The hash queue: ${use.hashQueue.toFixed(1)} passwords waited for a thread on average, and ${use.hashRefused.toLocaleString('en')} were refused. Hashing takes whole processors: more hosts, or a lower cost.`,
    ];
  if (use.redisFaults > 0)
    return ['Redis', 'Redis: commands failed, or a circuit breaker was open.'];
  if (use.loop >= BUSY_LOOP)
    return [
      'event loops',
      `The event loops of the workers: each used ${percent(use.loop)} of a processor. More workers, up to one per core, then more hosts.`,
    ];
  return undefined;
}

/** Waits for a store, which a machine without a free processor would explain as well. */
function byStores(use: Use): [Resource, string] | undefined {
  if (use.mongoWaiting >= 1)
    return [
      'MongoDB',
      `MongoDB: ${use.mongoWaiting.toFixed(1)} commands waited for a connection on average.`,
    ];
  if (use.mongoShare >= 0.5 && use.mongo >= 1)
    return [
      'MongoDB',
      `MongoDB: ${percent(use.mongoShare)} of the requests' time was spent waiting for it, ${use.mongoMs.toFixed(1)} ms a command.`,
    ];
  if (use.redisInUse && use.redisOutstanding / use.workers >= 8)
    return [
      'Redis',
      `Redis: ${use.redisOutstanding.toFixed(0)} commands awaited its answer on average.`,
    ];
  return undefined;
}

const byMachine = (busy: number | undefined): [Resource, string] | undefined =>
  busy !== undefined && busy >= BUSY_MACHINE
    ? [
        'processors of this machine',
        `The processors of this machine were busy ${percent(busy)} of the time: the service, its stores, the load and everything else here share them.`,
      ]
    : undefined;

const rest = (loop: Observed['loop']): [Resource, string] =>
  loop.kind === 'closed'
    ? [
        'connections',
        `The ${loop.connections} connections: each waited for its answer, and nothing of the service was at its limit. Use more connections, or --rate.`,
      ]
    : ['unknown', 'Unknown: nothing that was measured was at its limit.'];

/** Whether the answers came as fast as the requests were due, and were good. */
function hasKeptUp({ totals, seconds, durationSeconds }: Observed, rate: number): boolean {
  const good = totals.answers - refusals(totals.statuses);
  const inTime = seconds
    .filter(({ second }) => second < durationSeconds)
    .reduce((count, { answers }) => count + answers, 0);
  const due = rate * durationSeconds;
  // Arrivals are random: a short run may have that many less.
  const enough = due * REACHED - 3 * Math.sqrt(due);
  return inTime >= enough && good >= (totals.answers + sum(totals.failures)) * 0.99;
}

function evidenceOf(observed: Observed, use: Use | undefined, busy: number): readonly Evidence[] {
  const { totals, machineBusy } = observed;
  const own = [
    { name: 'Busiest load process', value: percent(busy) },
    ...(machineBusy === undefined
      ? []
      : [{ name: 'Processors of this machine', value: `${percent(machineBusy)} busy` }]),
    {
      name: 'Latency p50 and p99',
      value: `${latencyAt(totals.latency, 0.5).toFixed(1)} and ${latencyAt(totals.latency, 0.99).toFixed(1)} ms`,
    },
  ];
  if (use === undefined) return own;
  return [
    ...own,
    { name: 'Workers', value: use.workers.toFixed(0) },
    { name: 'Event loop of a worker', value: `${percent(use.loop)} of a processor` },
    {
      name: 'Hashing',
      value: `${use.hashing.toFixed(2)} threads busy, ${use.hashQueue.toFixed(1)} waiting`,
    },
    {
      name: 'MongoDB',
      value: `${use.mongo.toFixed(1)} commands in flight, ${use.mongoMs.toFixed(1)} ms each`,
    },
    {
      name: 'Redis',
      value: use.redisInUse
        ? `${use.redisOutstanding.toFixed(1)} commands in flight`
        : 'not in use',
    },
  ];
}
