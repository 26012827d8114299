import { type EventStage, type StageOptions, withEventStage } from './events-kit';
import { compare, lagP99Ms } from './events-mirror';
import { write } from './events-writers';
import type { Outcome, RunOptions, Scenario, Suite } from './scenario';

const EVERY_MS = 2000;
const WRITERS = 16;
const LAG_GOAL_MS = 250;
const GOAL = '0 lost, 0 phantom, 0 out of order, 0 gaps, 0 left behind';

interface Faults {
  readonly name: string;
  readonly title: string;
  readonly planted: string;
  /** The program that plants the fault. */
  readonly program: string;
  readonly follow: StageOptions['follow'];
  readonly hosts: (options: RunOptions) => number;
  readonly writes: (options: RunOptions) => number;
  /** In turn. Each resolves when the next one may come. */
  readonly faults: (
    stage: EventStage,
    options: RunOptions,
  ) => readonly (() => void | Promise<void>)[];
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A fault every two seconds, until `end`, which resolves with how many there were. */
function disturb(faults: readonly (() => void | Promise<void>)[]) {
  let [count, isOver] = [0, false];
  async function run(): Promise<number> {
    for (await pause(EVERY_MS); !isOver; count += 1) {
      const fromMs = performance.now();
      await faults[count % faults.length]?.();
      await pause(Math.max(0, EVERY_MS - (performance.now() - fromMs)));
    }
    return count;
  }
  const ended = run();
  // `end` reports the failure; nobody waits for further faults.
  ended.catch(() => {
    isOver = true;
  });
  return {
    /** Each fault came, and one more: what the last one leaves shows in later writes. */
    isWhole: () => isOver || count > faults.length,
    end() {
      isOver = true;
      return ended;
    },
  };
}

async function mirrored(options: RunOptions, spec: Faults): Promise<Outcome> {
  const { hosts, follow, program } = spec;
  const planted = options.planted ? program : undefined;
  return withEventStage({ hosts: hosts(options), planted, follow }, async (stage) => {
    const disturbance = disturb(spec.faults(stage, options));
    const written = await write(stage, {
      writers: WRITERS,
      writes: spec.writes(options),
      isTooEarly: () => !disturbance.isWhole(),
    }).finally(disturbance.end);
    const faults = await disturbance.end();
    const { pending, database } = await stage.settled();
    const seen = stage.seen();
    const found = compare(seen, database, written.acknowledged);
    const { lost, phantom, outOfOrder, gaps } = found;
    return {
      met: lost + phantom + outOfOrder + gaps + pending === 0 && faults > 0,
      figures: {
        ...{ writes: written.count, 'failed writes': written.failed, faults },
        ...{ events: seen.length, users: database.size, lost, phantom },
        ...{ 'out of order': outOfOrder, gaps, 'left behind': pending },
      },
    };
  });
}

const SPECS: readonly Faults[] = [
  {
    name: 'mirror',
    title:
      'A mirror built from events alone; kill -9 of workers, primaries, the pump and the consumer, one every 2 s',
    planted: 'the event is written after the commit',
    program: 'event-after-commit',
    follow: 'list',
    hosts: ({ quick, planted }) => (quick || planted ? 1 : 2),
    writes: ({ quick, planted }) => (quick ? 200 : planted ? 4000 : 100_000),
    faults: (stage, { quick, planted }) => [
      stage.killWorker,
      stage.killConsumer,
      stage.killPump,
      ...(quick || planted ? [] : [stage.killPrimary]),
    ],
  },
  {
    name: 'webhook',
    title:
      'A mirror built from what a webhook received; kill -9 of its receiver and of workers, one every 2 s',
    planted: 'a delivery that failed is not repeated',
    program: 'webhook-forgets',
    follow: 'webhook',
    hosts: () => 1,
    writes: ({ quick }) => (quick ? 200 : 5000),
    faults: (stage) => [stage.killConsumer, stage.killWorker],
  },
  {
    name: 'pump-suspended',
    title: 'The pump is suspended for longer than its lease, and goes on',
    planted: 'the pump trusts its lock, and writes at the number that it remembers',
    program: 'event-unfenced',
    follow: 'stream',
    hosts: () => 1,
    writes: ({ quick }) => (quick ? 300 : 5000),
    faults: (stage) => [() => stage.suspendPump(5000)],
  },
  {
    name: 'pump-killed',
    title: 'kill -9 of the pump every 2 s',
    planted: 'numbers come from a counter, in blocks',
    program: 'event-counter',
    follow: 'stream',
    hosts: () => 1,
    writes: ({ quick }) => (quick ? 200 : 5000),
    faults: (stage) => [stage.killPump],
  },
];

/** Without faults, at a rate that leaves the machine some time. */
const lag: Scenario = {
  name: 'lag',
  title: 'From the change to the consumer of the stream, 40 changes a second',
  goal: `p99 ≤ ${LAG_GOAL_MS} ms`,
  planted: 'the pump looks once a second',
  run: ({ quick, planted }) =>
    withEventStage(
      { hosts: 1, planted: planted ? 'event-slow' : undefined, follow: 'stream' },
      async (stage) => {
        await write(stage, { writers: 4, writes: 40, pauseMs: 50 });
        const fromMs = Date.now();
        const { count } = await write(stage, {
          ...{ writers: 4, writes: quick ? 200 : 2000, pauseMs: 90 },
        });
        await stage.settled();
        const p99 = lagP99Ms(stage.seen(), fromMs);
        return { met: p99 <= LAG_GOAL_MS, figures: { writes: count, 'lag p99 ms': p99 } };
      },
    ),
};

export const suite: Suite = {
  name: 'events',
  title: 'Events',
  setting:
    'The service with two workers per host, on one embedded engine; 16 clients create, change, ban and remove users, and a consumer in a process of its own writes down what it reads of `/api/events`. At the end the mirror that is built from those lines alone is compared with the database.',
  scenarios: [
    ...SPECS.map((spec): Scenario => {
      const { name, title, planted } = spec;
      return { name, title, planted, goal: GOAL, run: (options) => mirrored(options, spec) };
    }),
    lag,
  ],
};
