import cluster from 'node:cluster';
import { constants } from 'node:os';
import { type Config, childEnvironment, handedDown } from '../config';
import { type Closable, createLifecycle, type Lifecycle } from '../lifecycle';
import type { Logger } from '../observability/logger';
import { workerCount } from './cores';
import { createDistributor, type Distributor, probeAddress } from './distributor';
import { exitCodes } from './exit-codes';
import { forkWorker, type WorkerHandle } from './handle';
import { createRestarts, type Restarts } from './restarts';
import { listenToSignals } from './signals';
import { createStop } from './stop';
import { createSupervisor, type Supervisor } from './supervisor';

/** The database that the primary runs for its workers; `engine` is what /health calls it. */
export interface OwnDatabase extends Closable {
  readonly uri: string;
  readonly engine: string;
}

export interface PrimaryOptions {
  readonly config: Config;
  readonly log: Logger;
  /** Starts the embedded database; called only without MONGODB_URI. */
  readonly startDatabase: () => Promise<OwnDatabase>;
  /** Migrations and indexes, once, before any worker serves. */
  readonly prepareDatabase: (uri: string) => Promise<void>;
  /** What a worker runs; by default this process's own entry. */
  readonly workerEntry?: string;
  /** A terminal is attached: its end (SIGHUP) ends the service instead of reloading it. */
  readonly hasTerminal?: boolean;
}

/** What the parts of a running primary are. */
export interface Fleet {
  readonly supervisor: Supervisor;
  readonly distributor: Distributor;
  readonly restarts: Restarts;
}

interface HandedDatabase {
  uri: string | undefined;
  engine: string | undefined;
}

/** Connections that were accepted get this long to reach a worker when the service stops. */
const HAND_OVER_MS = 1000;

/** Runs the service on this host until it is told to stop. Resolves with the exit code (exit-codes.ts). */
export async function runPrimary(options: PrimaryOptions): Promise<number> {
  const { config, log } = options;
  const stop = createStop();
  const owned = createLifecycle({ deadlineMs: config.server.shutdownDeadlineMs, log });
  const database: HandedDatabase = { uri: config.database.uri, engine: undefined };
  const fleet = assemble(options, database);
  const { supervisor } = fleet;
  const signals = listenToSignals(
    {
      stop: stop.request,
      kill(signal) {
        supervisor.kill();
        stop.kill(128 + constants.signals[signal]);
      },
      reload: () => void supervisor.reload(),
      scaleBy: (step) => supervisor.scale(supervisor.wanted() + step),
    },
    { hasTerminal: options.hasTerminal ?? false, log },
  );
  try {
    const failed = await Promise.race([start(options, fleet, database, owned), stop.requested]);
    if (failed !== undefined) return failed;
    await stop.requested;
    return await Promise.race([shutDown(config, fleet, log), stop.killed]);
  } finally {
    supervisor.kill();
    await Promise.race([owned.close(), stop.killed]);
    signals.close();
  }
}

function assemble({ config, log, workerEntry }: PrimaryOptions, database: HandedDatabase): Fleet {
  const now = () => performance.now();
  const { server, cluster: bounds } = config;
  const distributor = createDistributor({
    host: server.host,
    port: server.port,
    waitMs: bounds.acceptWaitMs,
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
    execArgv: [...process.execArgv, `--max-old-space-size=${Math.ceil(bounds.heapLimitMb * 1.5)}`],
  });
  let lastId = 0;
  const tellReady = () => {
    for (const worker of supervisor.workers()) worker.send({ type: 'workers', ready: supervisor.readyCount() });
  };
  const supervisor: Supervisor = createSupervisor({
    wanted: workerCount(server.workers),
    fork: (onMessage) => {
      const id = ++lastId;
      return forkWorker({ id, environment: workerEnvironment(id, database), now, onMessage });
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
      else if (message.type === 'beat') distributor.heard(worker, message.connections);
    },
  });
  return { supervisor, distributor, restarts };
}

function workerEnvironment(id: number, { uri, engine }: HandedDatabase): NodeJS.ProcessEnv {
  return childEnvironment({
    [handedDown.workerId]: String(id),
    ...(engine === undefined ? {} : { [handedDown.engine]: engine, MONGODB_URI: uri }),
  });
}

/** Everything until the service serves. Resolves with an exit code where it cannot. */
async function start(options: PrimaryOptions, fleet: Fleet, database: HandedDatabase, owned: Lifecycle): Promise<number | undefined> {
  const { config, log } = options;
  const { host, port } = config.server;
  const startedMs = performance.now();
  try {
    // Only to learn at once whether the address can be had: nobody should connect before there is a worker.
    await probeAddress(host, port);
  } catch (error) {
    log.fatal({ err: error }, `cannot listen on ${host}:${port}`);
    return exitCodes.address;
  }
  try {
    if (database.uri === undefined) {
      const own = owned.own('database', await options.startDatabase());
      Object.assign(database, { uri: own.uri, engine: own.engine });
    }
    await options.prepareDatabase(database.uri ?? '');
  } catch (error) {
    log.fatal({ err: error }, 'the database cannot be used');
    return exitCodes.unavailable;
  }
  const failed = await fleet.supervisor.start();
  if (failed !== undefined) return failed;
  const address = await owned.own('listener', fleet.distributor).listen();
  log.info(
    { host: address.address, port: address.port, workers: fleet.supervisor.wanted(), tookMs: Math.round(performance.now() - startedMs) },
    'listening',
  );
  // A supervisor above us (PM2 in fork mode, a test) may wait for this.
  process.send?.('ready');
  return undefined;
}

/** Readiness first, then the listener, then the workers. */
async function shutDown(config: Config, { supervisor, distributor }: Fleet, log: Logger): Promise<number> {
  supervisor.leave();
  if (config.server.shutdownDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, config.server.shutdownDelayMs));
  await distributor.stop(HAND_OVER_MS);
  const clean = await supervisor.stop();
  log.info({ clean }, 'stopped');
  return clean ? exitCodes.ok : exitCodes.forced;
}
