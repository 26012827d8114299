import type { MongoProxy } from '../mongo-proxy';
import type { ChaosOptions } from './options';
import { workersOf } from './process';
import { act, pause, readyWithin, readyWorkers, workerIds } from './staging';

export interface Stage {
  readonly options: ChaosOptions;
  readonly proxy: MongoProxy | undefined;
  /** Ends the run early. */
  readonly signal: AbortSignal;
}

export interface ChaosScenario {
  readonly name: string;
  /** Printed before it begins. */
  readonly does: string;
  /** Beside the promises that always hold: no acknowledged write is lost, no read is stale. */
  readonly promise: string;
  /** Failed requests are part of the promise, or a consequence of the fault. */
  readonly mayFail: 'nothing' | 'writes' | 'requests';
  /** What the operator must give for it; undefined: nothing is missing. */
  lacks(stage: Stage): string | undefined;
  /**
   * Disturbs, while the traffic runs, for about `scenarioMs`. Restores before it resolves, and
   * rejects when the run ends before.
   */
  disturb(stage: Stage): Promise<void>;
}

const READY_MS = 60_000;
const needsOps = ({ options }: Stage) => (options.ops === undefined ? '--ops' : undefined);
const needsProxy = ({ proxy }: Stage) => (proxy === undefined ? '--proxy-mongodb' : undefined);

async function untilReady({ options, signal }: Stage): Promise<void> {
  if ((await readyWithin(options.target, READY_MS, signal)) === undefined)
    throw new Error(`the target is not ready again after ${READY_MS} ms`);
}

const quiet: ChaosScenario = {
  name: 'quiet',
  does: 'nothing: the load alone',
  promise: 'no request fails',
  mayFail: 'nothing',
  lacks: () => undefined,
  disturb: ({ options, signal }) => pause(options.scenarioMs, signal),
};

const reload: ChaosScenario = {
  name: 'reload',
  does: 'reloads all workers, one after the other, by the ops port',
  promise: 'no request fails',
  mayFail: 'nothing',
  lacks: needsOps,
  async disturb(stage) {
    const { ops, scenarioMs } = stage.options;
    if (ops === undefined) return;
    await act(ops, 'reload');
    await pause(scenarioMs, stage.signal);
    await untilReady(stage);
  },
};

const drain: ChaosScenario = {
  name: 'drain',
  does: 'drains one worker by the ops port; its successor starts first',
  promise: 'no request fails',
  mayFail: 'nothing',
  lacks: needsOps,
  async disturb(stage) {
    const { ops, scenarioMs } = stage.options;
    if (ops === undefined) return;
    const [first] = await workerIds(ops);
    if (first !== undefined) await act(ops, 'drain', String(first));
    await pause(scenarioMs, stage.signal);
    await untilReady(stage);
  },
};

const KILL_EVERY_MS = 2000;

const killWorker: ChaosScenario = {
  name: 'kill-worker',
  does: `kill -9 of the oldest worker every ${KILL_EVERY_MS / 1000} s, while two are ready`,
  promise: 'no read fails that is sent twice',
  mayFail: 'writes',
  lacks: ({ options }) => (options.primaryPid === undefined ? '--primary-pid' : undefined),
  async disturb(stage) {
    const { primaryPid, scenarioMs } = stage.options;
    if (primaryPid === undefined) return;
    const until = performance.now() + scenarioMs;
    let kills = 0;
    while (performance.now() < until) {
      // The last one that is ready serves.
      if ((await readyWorkers(stage.options.target)) < 2) {
        await pause(100, stage.signal);
        continue;
      }
      const [oldest] = workersOf(primaryPid).sort((a, b) => a - b);
      if (oldest === undefined) throw new Error(`process ${primaryPid} has no workers`);
      process.kill(oldest, 'SIGKILL');
      kills += 1;
      await pause(KILL_EVERY_MS, stage.signal);
    }
    if (kills === 0) throw new Error('the target never had two workers ready: none was killed');
    await untilReady(stage);
  },
};

/** A staging that reaches its database another way is not disturbed, and would keep any promise. */
function assertUsed({ proxy }: Stage): void {
  if (proxy?.connections() === 0)
    throw new Error('the target does not use the proxy: start it with its address in MONGODB_URI');
}

const databaseSlow: ChaosScenario = {
  name: 'database-slow',
  does: 'delays every answer of the database by 200 ms, in each direction',
  promise: 'ready again when the delay ends',
  mayFail: 'requests',
  lacks: needsProxy,
  async disturb(stage) {
    assertUsed(stage);
    stage.proxy?.delay(200);
    await pause(stage.options.scenarioMs, stage.signal);
    stage.proxy?.pass();
    await untilReady(stage);
  },
};

const databaseAway: ChaosScenario = {
  name: 'database-away',
  does: 'cuts the connections to the database for half of the time',
  promise: 'ready again when the database is back',
  mayFail: 'requests',
  lacks: needsProxy,
  async disturb(stage) {
    assertUsed(stage);
    await pause(stage.options.scenarioMs / 4, stage.signal);
    stage.proxy?.refuse();
    await pause(stage.options.scenarioMs / 2, stage.signal);
    stage.proxy?.pass();
    await untilReady(stage);
    await pause(stage.options.scenarioMs / 4, stage.signal);
  },
};

export const SCENARIOS: readonly ChaosScenario[] = [
  ...[quiet, reload, drain, killWorker, databaseSlow, databaseAway],
];
