import cluster from 'node:cluster';
import { type Config, childEnvironment, handedDown } from '../config';
import type { Logger } from '../observability/logger';
import { workerCount } from './cores';
import { createDistributor, type Distributor } from './distributor';
import { forkWorker, type WorkerHandle } from './handle';
import { createRestarts, type Restarts } from './restarts';
import { createSupervisor, type Supervisor } from './supervisor';
import { workerFlags } from './worker-flags';

/** What the parts of a running primary are. */
export interface Fleet {
  readonly supervisor: Supervisor;
  readonly distributor: Distributor;
  readonly restarts: Restarts;
}

/** What the workers are told; complete before the first is forked. */
export interface Handed {
  uri: string | undefined;
  engine: string | undefined;
  runtimeDir: string | undefined;
}

/** Puts supervisor and distributor together; nothing is started. `workerEntry` is what a worker runs, by default this process's own entry. */
export function createFleet(config: Config, log: Logger, handed: Handed, workerEntry?: string): Fleet {
  const now = () => performance.now();
  const { server, cluster: bounds } = config;
  const distributor = createDistributor({
    host: server.host,
    port: server.port,
    waitMs: bounds.acceptWaitMs,
    busyWaitMs: bounds.acceptBusyWaitMs,
    queueMax: bounds.acceptQueueMax,
    log,
    now,
  });
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
    for (const worker of supervisor.workers()) worker.send({ type: 'workers', ready: supervisor.readyCount() });
  };
  const supervisor: Supervisor = createSupervisor({
    wanted: workerCount(server.workers),
    fork: (onMessage) => {
      const id = ++lastId;
      return forkWorker({ id, environment: workerEnvironment(id, handed), now, onMessage });
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
      if (message.type === 'took') distributor.took(worker, message.seq, message.taken, message.connections);
      else if (message.type === 'synced') distributor.synced(worker, message.seq);
      else if (message.type === 'beat') distributor.heard(worker, message.connections);
    },
  });
  return { supervisor, distributor, restarts };
}

function workerEnvironment(id: number, { uri, engine, runtimeDir }: Handed): NodeJS.ProcessEnv {
  return childEnvironment({
    [handedDown.workerId]: String(id),
    RUNTIME_DIR: runtimeDir,
    ...(engine === undefined ? {} : { [handedDown.engine]: engine, MONGODB_URI: uri }),
  });
}
