import { constants } from 'node:os';
import type { Config } from '../config';
import { type Closable, createLifecycle, type Lifecycle } from '../lifecycle';
import type { Logger } from '../observability/logger';
import { startControl } from './control';
import { probeAddress } from './distributor';
import { exitCodes } from './exit-codes';
import { createFleet, type Fleet, type Handed } from './fleet';
import { startOps } from './ops';
import { createPrimaryMetrics } from './primary-metrics';
import { openRuntimeDir, openWorkersDir } from './runtime-dir';
import { listenToSignals } from './signals';
import { createStop } from './stop';

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

/** Connections that were accepted get this long to reach a worker when the service stops. */
const HAND_OVER_MS = 1000;

/** Runs the service on this host until it is told to stop. Resolves with the exit code (exit-codes.ts). */
export async function runPrimary(options: PrimaryOptions): Promise<number> {
  const { config, log } = options;
  const stop = createStop();
  const owned = createLifecycle({ deadlineMs: config.server.shutdownDeadlineMs, log });
  const handed: Handed = { uri: config.database.uri, engine: undefined, runtimeDir: undefined };
  const fleet = createFleet(config, log, handed, options.workerEntry);
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
    const failed = await Promise.race([start(options, fleet, handed, owned), stop.requested]);
    if (failed !== undefined) return failed;
    await stop.requested;
    return await Promise.race([shutDown(config, fleet, log), stop.killed]);
  } finally {
    supervisor.kill();
    await Promise.race([owned.close(), stop.killed]);
    signals.close();
  }
}

/** Everything until the service serves. Resolves with an exit code where it cannot. */
async function start(options: PrimaryOptions, fleet: Fleet, handed: Handed, owned: Lifecycle): Promise<number | undefined> {
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
    if (handed.uri === undefined) {
      const { uri, engine } = owned.own('database', await options.startDatabase());
      Object.assign(handed, { uri, engine });
    }
    await options.prepareDatabase(handed.uri ?? '');
  } catch (error) {
    log.fatal({ err: error }, 'the database cannot be used');
    return exitCodes.unavailable;
  }
  const runtimeDir = openFolders(options, handed, owned);
  const failed = await fleet.supervisor.start();
  if (failed !== undefined) return failed;
  const address = await owned.own('listener', fleet.distributor).listen();
  log.info(
    { host: address.address, port: address.port, workers: fleet.supervisor.wanted(), tookMs: Math.round(performance.now() - startedMs) },
    'listening',
  );
  // A supervisor above us (PM2 in fork mode, a test) may wait for this.
  process.send?.('ready');
  if (runtimeDir !== undefined) await startSideServices(options, fleet, { runtimeDir, workersDir: handed.runtimeDir ?? runtimeDir }, owned);
  return undefined;
}

/** The folders of the private sockets; undefined where there is no place for them (a read-only file system, say). */
function openFolders({ config, log }: PrimaryOptions, handed: Handed, owned: Lifecycle): string | undefined {
  try {
    const runtimeDir = openRuntimeDir(config);
    handed.runtimeDir = owned.own('runtime folder', openWorkersDir(runtimeDir)).path;
    return runtimeDir;
  } catch (error) {
    log.error({ err: error }, 'no folder for private sockets (RUNTIME_DIR): neither metrics nor control');
    return undefined;
  }
}

interface Folders {
  readonly runtimeDir: string;
  readonly workersDir: string;
}

/** Metrics and control: the service serves without them, so their failure is said and survived. */
async function startSideServices(
  { config, log }: PrimaryOptions,
  fleet: Fleet,
  { runtimeDir, workersDir }: Folders,
  owned: Lifecycle,
): Promise<void> {
  const { opsHost, opsPort } = config.server;
  try {
    owned.own('control socket', await startControl(runtimeDir, fleet));
  } catch (error) {
    log.error({ err: error }, 'no control socket');
  }
  if (opsPort === 0) return;
  try {
    const ops = await startOps({ host: opsHost, port: opsPort, runtimeDir: workersDir, own: createPrimaryMetrics(fleet) });
    owned.own('ops port', ops);
  } catch (error) {
    log.error({ err: error, opsHost, opsPort }, 'no ops port: /metrics is not served');
  }
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
