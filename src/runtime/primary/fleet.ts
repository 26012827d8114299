import cluster from 'node:cluster';
import { type Config, childEnvironment, inheritedVariables } from '../../kernel/config/config';
import { corsOriginsOf } from '../../platform/http/cors';
import { createEarlyAnswers } from '../../platform/http/early-answers';
import type { Logger } from '../../platform/telemetry/logger';
import { workerCount } from './cores';
import { createDistributor, type Distributor } from './distributor';
import { createRestarts, type Restarts } from './restart-policy';
import { createSupervisor, type Supervisor } from './supervisor';
import { workerFlags } from './worker-flags';
import { forkWorker, type WorkerHandle } from './worker-handle';

/** The parts of a running primary. */
export interface Fleet {
  readonly supervisor: Supervisor;
  readonly distributor: Distributor;
  readonly restarts: Restarts;
}

/** Values that the workers get by environment; complete before the first one is forked. */
export interface Handed {
  /** A random name of this primary. */
  readonly instance: string;
  uri: string | undefined;
  engine: string | undefined;
  runtimeDir: string | undefined;
}

export interface FleetOptions {
  /** The script that a worker runs, by default this process's own. */
  readonly workerEntry?: string | undefined;
  /** Gets the log lines of workers from level warn on. */
  readonly onWarning?: (line: string) => void;
}

/** Connects supervisor and distributor; starts nothing. */
export function createFleet(
  config: Config,
  log: Logger,
  handed: Handed,
  { workerEntry, onWarning = () => {} }: FleetOptions = {},
): Fleet {
  const now = () => performance.now();
  const { server, cluster: bounds } = config;
  const distributor = distributorOf(config, log, now);
  const restarts = createRestarts({
    baseMs: bounds.restartBaseMs,
    maxMs: bounds.restartMaxMs,
    stableMs: bounds.stableMs,
    crashBudget: bounds.crashBudget,
    now,
  });
  cluster.setupPrimary({
    ...(workerEntry === undefined ? {} : { exec: workerEntry }),
    execArgv: workerFlags({ heapLimitMb: bounds.heapLimitMb, given: process.execArgv }),
  });
  let lastId = 0;
  const tellReady = () => {
    for (const worker of supervisor.workers())
      worker.send({ type: 'workers', ready: supervisor.readyCount() });
  };
  const supervisor: Supervisor = createSupervisor({
    wanted: workerCount(server.workers),
    fork: (onMessage, prepares) => {
      const id = ++lastId;
      return forkWorker({
        id,
        environment: workerEnvironment(id, handed, prepares),
        now,
        onMessage,
      });
    },
    restarts,
    limits: bounds,
    drainDeadlineMs: server.shutdownDeadlineMs,
    log,
    now,
    onReady(worker) {
      distributor.add(worker);
      tellReady();
    },
    onLeaving(worker, gone) {
      distributor.remove(worker, gone);
      tellReady();
    },
    onMessage(worker: WorkerHandle, message) {
      if (message.type === 'ack')
        distributor.ack(worker, message.seq, message.accepted, message.connections);
      else if (message.type === 'synced') distributor.synced(worker, message.seq);
      else if (message.type === 'warning') onWarning(message.line);
      else if (message.type === 'beat') distributor.heard(worker, message.connections);
    },
  });
  return { supervisor, distributor, restarts };
}

function distributorOf(config: Config, log: Logger, now: () => number): Distributor {
  const { server, cluster: bounds } = config;
  return createDistributor({
    host: server.host,
    port: server.port,
    waitMs: bounds.acceptWaitMs,
    busyWaitMs: bounds.acceptBusyWaitMs,
    queueMax: bounds.acceptQueueMax,
    log,
    now,
    refusals: createEarlyAnswers({
      cors: corsOriginsOf(config),
      ...(server.accessLog && { log }),
    }),
  });
}

function workerEnvironment(
  id: number,
  { instance, uri, engine, runtimeDir }: Handed,
  prepares: boolean,
): NodeJS.ProcessEnv {
  return childEnvironment({
    [inheritedVariables.workerId]: String(id),
    [inheritedVariables.instance]: instance,
    RUNTIME_DIR: runtimeDir,
    ...(prepares ? { [inheritedVariables.prepares]: '1' } : {}),
    ...(engine === undefined ? {} : { [inheritedVariables.engine]: engine, MONGODB_URI: uri }),
  });
}
