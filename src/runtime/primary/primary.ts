import { constants } from 'node:os';
import { type Config, isConfigError } from '../../kernel/config/config';
import { randomToken } from '../../kernel/crypto/random';
import { type Closable, createLifecycle, type Lifecycle } from '../../kernel/lifecycle';
import type { Logger } from '../../platform/telemetry/logger';
import type { RecentLines } from '../../platform/telemetry/recent-lines';
import { databaseAdvice, exitCodeOf, exitCodes } from '../exit-codes';
import { probeAddress } from '../listening';
import { openRuntimeDir, openWorkersDir, removeLeftFolders } from '../runtime-dir';
import { listenToSignals } from '../signals';
import { createFleet, type Fleet, type Handed } from './fleet';
import { startSideServices } from './side-services';
import { createStop } from './stop';

/** The database that the primary runs for its workers; /health shows `engine`. */
interface OwnDatabase extends Closable {
  readonly uri: string;
  readonly engine: string;
}

export interface PrimaryOptions {
  readonly config: Config;
  readonly log: Logger;
  /** The last lines of this log, for the ops page. */
  readonly recent: RecentLines;
  readonly tracing?: Closable;
  /** Starts the embedded database; called only without MONGODB_URI. */
  readonly startDatabase: () => Promise<OwnDatabase>;
  /** Migrations and indexes, once, before any worker serves. */
  readonly prepareDatabase: (uri: string) => Promise<void>;
  /** The script that a worker runs; by default this process's own. */
  readonly workerEntry?: string;
  /** A terminal is attached: SIGHUP, sent when it closes, ends the service, with no reload. */
  readonly hasTerminal?: boolean;
  /** npm, when it started this process: it forwards its signals, and this process ends with it. */
  readonly parentPid?: number | undefined;
}

/** Time for accepted connections to reach a worker when the service stops. */
const HAND_OVER_MS = 1000;
const PARENT_POLL_MS = 500;

/**
 * Runs the service on this host until a signal stops it. Resolves with the exit code
 * (exit-codes.ts).
 */
export async function runPrimary(options: PrimaryOptions): Promise<number> {
  const { config, log } = options;
  const stop = createStop();
  const owned = createLifecycle({ deadlineMs: config.server.shutdownDeadlineMs, log });
  if (options.tracing !== undefined) owned.own('tracing', options.tracing);
  const handed: Handed = {
    ...{ instance: randomToken(9), uri: config.database.uri },
    ...{ engine: undefined, runtimeDir: undefined },
  };
  const fleet = createFleet(config, log, handed, {
    workerEntry: options.workerEntry,
    onWarning: options.recent.add,
  });
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
    { hasTerminal: options.hasTerminal ?? false, forwarded: options.parentPid !== undefined, log },
  );
  const parent = followParent(options.parentPid, () => {
    log.warn('parent npm process exited, shutting down');
    stop.request();
  });
  try {
    const failed = await Promise.race([start(options, fleet, handed, owned), stop.requested]);
    if (failed !== undefined) return failed;
    await stop.requested;
    return await Promise.race([shutDown(config, fleet, log), stop.killed]);
  } finally {
    supervisor.kill();
    await Promise.race([owned.close(), stop.killed]);
    clearInterval(parent);
    signals.close();
  }
}

/** Calls `ended` when this process gets another parent: the first one has exited then. */
function followParent(pid: number | undefined, ended: () => void): NodeJS.Timeout | undefined {
  if (pid === undefined) return undefined;
  const timer = setInterval(() => {
    if (process.ppid === pid) return;
    clearInterval(timer);
    ended();
  }, PARENT_POLL_MS);
  return timer.unref();
}

/** Starts everything until the service accepts requests; resolves with an exit code on failure. */
async function start(
  options: PrimaryOptions,
  fleet: Fleet,
  handed: Handed,
  owned: Lifecycle,
): Promise<number | undefined> {
  const { config, log } = options;
  const { host, port } = config.server;
  const startedMs = performance.now();
  try {
    // Only a check that fails early: no client should connect before there is a worker.
    await probeAddress(host, port);
  } catch (error) {
    log.fatal({ err: error }, `cannot listen on ${host}:${port}`);
    return exitCodes.address;
  }
  const unprepared = await openDatabase(options, handed, owned);
  if (unprepared !== undefined) return unprepared;
  const runtimeDir = await openFolders(options, handed, owned);
  const failed =
    (await fleet.supervisor.start()) ?? (await listen(options, fleet, owned, startedMs));
  if (failed !== undefined) return failed;
  // A supervisor above us (PM2 in fork mode, a test) may wait for this.
  process.send?.('ready');
  if (runtimeDir !== undefined)
    await startSideServices(
      options,
      fleet,
      {
        ...{ runtimeDir, workersDir: handed.runtimeDir ?? runtimeDir },
        instance: handed.instance,
      },
      owned,
    );
  return undefined;
}

/** Accepts connections for the ready workers; an exit code on failure. */
async function listen(
  { config, log }: PrimaryOptions,
  { supervisor, distributor }: Fleet,
  owned: Lifecycle,
  startedMs: number,
): Promise<number | undefined> {
  const { host, port } = config.server;
  const address = await owned
    .own('listener', distributor)
    .listen()
    .catch((error: unknown) => void log.fatal({ err: error }, `cannot listen on ${host}:${port}`));
  if (address === undefined) return exitCodes.address;
  log.info(
    {
      host: address.address,
      port: address.port,
      workers: supervisor.wanted(),
      tookMs: Math.round(performance.now() - startedMs),
    },
    'listening',
  );
  return undefined;
}

/** Starts the database unless one is given, and prepares it; an exit code on failure. */
async function openDatabase(
  options: PrimaryOptions,
  handed: Handed,
  owned: Lifecycle,
): Promise<number | undefined> {
  try {
    if (handed.uri === undefined) {
      const { uri, engine } = owned.own('database', await options.startDatabase());
      Object.assign(handed, { uri, engine });
    }
    await options.prepareDatabase(handed.uri ?? '');
    return undefined;
  } catch (error) {
    const code = exitCodeOf(error);
    options.log.fatal(
      // The message of a ConfigError says it all.
      { ...(isConfigError(error) ? {} : { err: error }), code },
      isConfigError(error) ? error.message : databaseAdvice(code),
    );
    return code;
  }
}

/**
 * Opens the folders of the private sockets; undefined where that fails (a read-only file system,
 * for example).
 */
async function openFolders(
  { config, log }: PrimaryOptions,
  handed: Handed,
  owned: Lifecycle,
): Promise<string | undefined> {
  try {
    const runtimeDir = openRuntimeDir(config);
    const { path } = owned.own('runtime folder', openWorkersDir(runtimeDir));
    handed.runtimeDir = path;
    await removeLeftFolders(runtimeDir, path).catch(() => undefined);
    return runtimeDir;
  } catch (error) {
    log.error({ err: error }, 'RUNTIME_DIR unusable, metrics and control socket disabled');
    return undefined;
  }
}

/** Turns readiness off, closes the listener, and drains the workers, in this order. */
async function shutDown(
  config: Config,
  { supervisor, distributor }: Fleet,
  log: Logger,
): Promise<number> {
  supervisor.leave();
  if (config.server.shutdownDelayMs > 0)
    await new Promise((resolve) => setTimeout(resolve, config.server.shutdownDelayMs));
  await distributor.stop(HAND_OVER_MS);
  const clean = await supervisor.stop();
  log.info({ clean }, 'shutdown complete');
  return clean ? exitCodes.ok : exitCodes.forced;
}
