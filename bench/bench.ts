import { join } from 'node:path';
import { type Contestant, nameOf } from './contestants';
import { type CpuPlan, planCpus } from './cpus';
import { type FieldOptions, type Standing, startStanding } from './field';
import type { Figure, Figures } from './figures';
import { type Generator, startGenerator } from './load/generator';
import { saveTraffic, type Traffic } from './load/traffic';
import type { Options } from './options';
import type { Runtime } from './runtimes';
import type { Stores } from './stores';

/** The tools of a question. */
export interface Bench {
  readonly options: Options;
  readonly runtimes: readonly Runtime[];
  readonly stores: Stores;
  readonly figures: Figures;
  /** Starts all contestants at once for `work`, and stops them afterwards. */
  withField(
    contestants: readonly Contestant[],
    options: FieldOptions,
    work: (field: readonly Standing[]) => Promise<void>,
  ): Promise<void>;
  /**
   * One closed-loop turn; answers per second that have one of the given statuses. Throws when
   * others do.
   */
  closed(standing: Standing, traffic: Traffic, options?: TurnOptions): Promise<number>;
  /** One open-loop turn at `rate` requests/s. */
  open(
    standing: Standing,
    traffic: Traffic,
    rate: number,
    options?: TurnOptions,
  ): ReturnType<Generator['open']>;
  /** The same from separate processes, while another turn runs. */
  openBeside: Bench['open'];
  /** Warms everyone up, then takes turns, recording answers per second under `name`. */
  compare(key: { question: string; name: string }, turns: readonly Turn[]): Promise<void>;
  /** A closed-loop turn that is not measured. */
  warm(turn: Turn): Promise<void>;
  record(
    key: Omit<Figure, 'samples' | 'node' | 'contestant'>,
    standing: Standing,
    sample: number,
  ): void;
  /** The cores that the contestants have now. */
  serverCpus(): readonly number[];
  /** The cores that the load may use now. */
  loadCpus(): readonly number[];
  say(line: string): void;
}

export interface Turn {
  readonly standing: Standing;
  readonly traffic: Traffic;
  readonly options?: TurnOptions;
  /** Overrides the name of the figure. */
  readonly name?: string;
}

interface TurnOptions {
  readonly statuses?: readonly number[];
  readonly seconds?: number;
  readonly connections?: number;
  readonly requestsPerConnection?: number;
  readonly skip?: number;
}

export interface Question {
  readonly id: string;
  readonly title: string;
  /** Part of `--quick`. */
  readonly quick: boolean;
  ask(bench: Bench): Promise<void>;
}

export function createBench(
  parts: Pick<Bench, 'options' | 'runtimes' | 'stores' | 'figures' | 'say'>,
): Bench {
  const { options, runtimes, stores, figures, say } = parts;
  const files = new Map<Traffic, string>();
  let plan: CpuPlan = planCpus(1);
  let generator: Generator | undefined;
  let beside: Generator | undefined;

  function fileOf(traffic: Traffic): string {
    let file = files.get(traffic);
    if (file === undefined) {
      file = join(stores.folder, `traffic-${files.size}.json`);
      saveTraffic(file, traffic);
      files.set(traffic, file);
    }
    return file;
  }

  function load(): Generator {
    if (generator === undefined) throw new Error('no load outside withField');
    return generator;
  }

  const openWith = async (
    from: Generator,
    standing: Standing,
    traffic: Traffic,
    rate: number,
    { statuses = [200], seconds = options.seconds, ...rest }: TurnOptions = {},
  ) => {
    const spec = {
      url: standing.url,
      trafficFile: fileOf(traffic),
      connections: options.connections,
      rate,
      seconds,
      ...rest,
    };
    const result = await from.open(spec);
    goodShare(standing, result, statuses);
    return result;
  };

  /** One after the other, so that start-up times are not those of a crowd. */
  async function standAll(
    contestants: readonly Contestant[],
    fieldOptions: FieldOptions,
    field: Standing[],
  ): Promise<void> {
    for (const runtime of runtimes) {
      for (const contestant of contestants) {
        if (Number(runtime.major) >= (contestant.since ?? 0))
          field.push(await startStanding(stores, plan, contestant, runtime, fieldOptions));
      }
    }
  }

  const bench: Bench = {
    ...parts,
    serverCpus: () => plan.server,
    loadCpus: () => plan.load,
    async withField(contestants, fieldOptions, work) {
      plan = planFor(fieldOptions);
      stores.moveTo(plan.stores);
      generator = await startGenerator(plan.load);
      const field: Standing[] = [];
      try {
        await standAll(contestants, fieldOptions, field);
        await work(field);
      } finally {
        await Promise.all(field.map((standing) => standing.stop()));
        await Promise.all([generator.close(), beside?.close()]);
        generator = undefined;
        beside = undefined;
      }
    },
    async closed(standing, traffic, { statuses = [200], seconds = options.seconds, ...rest } = {}) {
      const spec = {
        url: standing.url,
        trafficFile: fileOf(traffic),
        connections: options.connections,
        seconds,
        ...rest,
      };
      const result = await load().closed(spec);
      return result.perSecond * goodShare(standing, result, statuses);
    },
    open: (standing, traffic, rate, turn) => openWith(load(), standing, traffic, rate, turn),
    async openBeside(standing, traffic, rate, turn) {
      beside ??= await startGenerator(plan.load.slice(0, 1));
      return await openWith(beside, standing, traffic, rate, turn);
    },
    async compare({ question, name }, turns) {
      for (const turn of turns) await bench.warm(turn);
      for (let round = 0; round < options.rounds; round += 1) {
        // Back and forth: a machine that gets slower or faster favours nobody.
        const inTurn = round % 2 === 0 ? turns : [...turns].reverse();
        for (const { standing, traffic, options: turnOptions, name: ownName = name } of inTurn) {
          const cpuBefore = standing.cpuMs();
          const perSecond = await bench.closed(standing, traffic, turnOptions);
          const cpuMicros = (standing.cpuMs() - cpuBefore) * 1000;
          bench.record({ question, name: ownName, unit: 'req/s' }, standing, perSecond);
          const answers = perSecond * (turnOptions?.seconds ?? options.seconds);
          bench.record(
            { question, name: `${ownName}: processor time each`, unit: 'µs' },
            standing,
            cpuMicros / answers,
          );
        }
      }
    },
    async warm({ standing, traffic, options: turnOptions }) {
      const spec = {
        url: standing.url,
        trafficFile: fileOf(traffic),
        connections: options.connections,
        ...turnOptions,
      };
      // The statuses do not matter during warm-up: a cold service may refuse some requests.
      await load().closed({ ...spec, seconds: turnOptions?.seconds ?? options.warmSeconds });
    },
    record(key, { contestant, runtime }, sample) {
      // Not available on this system (memory and CPU time without /proc).
      if (Number.isNaN(sample)) return;
      figures.add({ ...key, contestant: contestant.id, node: runtime.major }, sample);
      say(
        `  ${key.question} · ${key.name} · Node ${runtime.major} · ${nameOf(contestant)}: ${sample.toFixed(sample < 100 ? 2 : 0)} ${key.unit}`,
      );
    },
  };
  return bench;
}

/** `cpusOf` leaves the load on the cores that it would have beside that many workers. */
function planFor({ workers = 1, cpusOf = workers }: FieldOptions): CpuPlan {
  const plan = planCpus(cpusOf);
  return { ...plan, server: plan.server.slice(0, workers) };
}

/**
 * The share of expected statuses. A fast wrong response is not a result. 503 is correct for an
 * overloaded service, and does not count as a response.
 */
function goodShare(
  { contestant, runtime }: Standing,
  result: { statuses: Readonly<Record<string, number>>; errors: number },
  wanted: readonly number[],
): number {
  const entries = Object.entries(result.statuses);
  const sum = (of: (status: number) => boolean) =>
    entries.reduce((all, [status, count]) => (of(Number(status)) ? all + count : all), 0);
  const total = sum(() => true);
  const good = sum((status) => wanted.includes(status));
  const refused = sum((status) => status === 503);
  if (good > total / 2 && good + refused >= total * 0.99 && result.errors <= total * 0.01)
    return good / total;
  throw new Error(
    `${nameOf(contestant)} on Node ${runtime.major} answered ${JSON.stringify(result.statuses)} with ${result.errors} errors; expected ${wanted.join(' or ')}`,
  );
}
