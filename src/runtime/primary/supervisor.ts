import type { Logger } from '../../platform/telemetry/logger';
import { exitCodes, isFinal } from '../exit-codes';
import type { WorkerMessage } from '../messages';
import type { Restarts } from './restart-policy';
import { rollingReload } from './rolling-reload';
import { type Finding, startWatchdog, type WatchLimits } from './watchdog';
import { createWorkerActions } from './worker-actions';
import type { Exit, WorkerHandle } from './worker-handle';
import { countsAsWanted, isReady, isStarting, isUnresponsive, transition } from './worker-state';

/**
 * Keeps the wanted number of workers ready. Every event (a message, an exit, time) ends in
 * `reconcile`, which compares the workers that exist with the number that is wanted. No other place
 * starts or ends workers, except the rolling reload, which replaces them one by one.
 */
export interface Supervisor {
  /**
   * Starts the workers. Resolves at the first ready one, or with an exit code when they never
   * become ready.
   */
  start(): Promise<number | undefined>;
  reload(): Promise<boolean>;
  scale(wanted: number): void;
  /** A ready worker drains once its successor is ready; false where there is no such worker. */
  replace(id: number): boolean;
  wanted(): number;
  readyCount(): number;
  workers(): readonly WorkerHandle[];
  /**
   * Starts and replaces nothing from here on: the workers' readiness turns false, and connections
   * still reach them.
   */
  leave(): void;
  /** Drains all workers; true when each finished all its requests. */
  stop(): Promise<boolean>;
  /** SIGKILL to all, at once. */
  kill(): void;
}

export interface SupervisorOptions {
  readonly wanted: number;
  /**
   * `prepares`: the worker migrates the database before it serves, as the primary did before the
   * first worker.
   */
  readonly fork: (
    onMessage: (worker: WorkerHandle, message: WorkerMessage) => void,
    prepares: boolean,
  ) => WorkerHandle;
  readonly restarts: Restarts;
  readonly limits: WatchLimits;
  readonly drainDeadlineMs: number;
  readonly log: Logger;
  readonly now: () => number;
  readonly onReady: (worker: WorkerHandle) => void;
  readonly onLeaving: (worker: WorkerHandle, gone: boolean) => void;
  readonly onMessage: (worker: WorkerHandle, message: WorkerMessage) => void;
}

/**
 * A terminal's Ctrl-C reaches workers and primary alike: the primary's own signal, if there is one,
 * must be handled first.
 */
const RETIRE_DELAY_MS = 250;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { fork, restarts, limits, log, now, onReady, onLeaving } = options;
  const fleet = new Set<WorkerHandle>();
  const { recycle, drain, kill } = createWorkerActions({
    drainDeadlineMs: options.drainDeadlineMs,
    log,
    onDraining: (worker) => onLeaving(worker, false),
  });
  let wanted = options.wanted;
  let stopping = false;
  let begun = false;
  /** The exit after which no worker will ever become ready. */
  let hopeless: Exit | undefined;
  let reloading = false;
  let pause: NodeJS.Timeout | undefined;
  let started: ((code: number | undefined) => void) | undefined;

  const all = () => [...fleet];
  const readyCount = () => all().filter(isReady).length;
  const label = ({ id, pid }: WorkerHandle) => ({ worker: id, workerPid: pid });

  function start(prepares = false): WorkerHandle {
    const worker = fork(onMessage, prepares);
    fleet.add(worker);
    void worker.exited.then((exit) => onExit(worker, exit));
    log.debug(label(worker), 'worker started');
    return worker;
  }

  function onMessage(worker: WorkerHandle, message: WorkerMessage): void {
    worker.heardAtMs = now();
    if (message.type === 'beat') worker.lastBeat = message;
    if (message.type === 'ready') onWorkerReady(worker);
    if (message.type === 'retire') setTimeout(retire, RETIRE_DELAY_MS, worker);
    if (message.type === 'draining') drain(worker, 'fail');
    options.onMessage(worker, message);
  }

  function retire(worker: WorkerHandle): void {
    if (stopping || !isReady(worker)) return;
    log.info(label(worker), 'worker received a signal, recycling');
    recycle(worker);
    worker.send({ type: 'recycling' });
    reconcile();
  }

  function onWorkerReady(worker: WorkerHandle): void {
    if (!transition(worker, 'ready')) return;
    worker.readyAtMs = now();
    restarts.ready(worker);
    onReady(worker);
    const tookMs = Math.round(now() - worker.startedAtMs);
    log.info({ ...label(worker), tookMs, ready: readyCount() }, 'worker ready');
    started?.(undefined);
    hopeless = undefined;
    reconcile();
  }

  function onExit(worker: WorkerHandle, exit: Exit): void {
    transition(worker, 'exit');
    fleet.delete(worker);
    onLeaving(worker, true);
    if (worker.state === 'crashed') onCrash(worker, exit);
    else log.info({ ...label(worker), ...exit }, 'worker exited');
    if (hopeless !== undefined && fleet.size === 0) giveUp(hopeless);
    reconcile();
  }

  function onCrash(worker: WorkerHandle, exit: Exit): void {
    restarts.died(worker);
    log.error({ ...label(worker), ...exit, ready: readyCount() }, 'worker exited unexpectedly');
    // No worker was ever ready: none is started any more, and the service gives up when the last
    // one that still starts is gone.
    const neverReady = started !== undefined;
    if (neverReady && (restarts.hopeless() || isFinal(exit.code))) hopeless ??= exit;
  }

  function giveUp(exit: Exit): void {
    const isTelling = isFinal(exit.code) || exit.code === exitCodes.unavailable;
    const code = exit.code !== null && isTelling ? exit.code : exitCodes.software;
    stopping = true;
    log.fatal({ lastExit: exit, code }, 'no worker became ready, giving up');
    started?.(code);
  }

  function reconcile(): void {
    // Before `begun` the database is still being prepared, and nothing waits for a ready worker.
    if (stopping || !begun || hopeless !== undefined) return;
    clearTimeout(pause);
    const starting = all().filter(isStarting).length;
    const present = all().filter(countsAsWanted).length;
    let missing = Math.min(wanted - present, restarts.concurrency() - starting);
    if (missing > 0 && restarts.pauseMs() > 0) {
      pause = setTimeout(reconcile, restarts.pauseMs());
      return;
    }
    for (; missing > 0; missing--) start();
    if (!reloading) drainSurplus();
  }

  /** Workers to be recycled go first, then the oldest. */
  function drainSurplus(): void {
    let surplus = readyCount() - wanted;
    const candidates = all()
      .filter(isReady)
      .sort(
        (a, b) =>
          Number(countsAsWanted(a)) - Number(countsAsWanted(b)) || a.startedAtMs - b.startedAtMs,
      );
    for (const worker of candidates) {
      if (surplus-- <= 0) return;
      // An unresponsive worker would not read the message: the watchdog decides on it.
      if (!isUnresponsive(worker)) drain(worker);
    }
  }

  function act(worker: WorkerHandle, { action, message, ...measured }: Finding): void {
    log.warn({ ...label(worker), ...measured }, message);
    if (action === 'kill') kill(worker);
    else if (action === 'recycle') recycle(worker);
    else transition(worker, action);
  }

  const watchdog = startWatchdog({
    limits,
    now,
    workers: all,
    onFinding: act,
    onChecked() {
      for (const worker of all()) restarts.alive(worker);
      reconcile();
    },
  });

  return {
    start() {
      const done = new Promise<number | undefined>((resolve) => {
        started = (code) => {
          started = undefined;
          resolve(code);
        };
      });
      begun = true;
      reconcile();
      return done;
    },
    async reload() {
      if (reloading || stopping) {
        log.warn('reload ignored: another one is running, or the service is shutting down');
        return false;
      }
      reloading = true;
      try {
        return await rollingReload({
          workers: all,
          startCandidate(prepares) {
            const worker = start(prepares);
            transition(worker, 'candidate');
            return worker;
          },
          drain,
          isStopping: () => stopping,
          log,
        });
      } finally {
        reloading = false;
        reconcile();
      }
    },
    scale(count) {
      wanted = Math.max(1, count);
      log.info({ wanted }, 'number of workers changed');
      reconcile();
    },
    replace(id) {
      const worker = all().find((one) => one.id === id);
      if (stopping || worker === undefined || !transition(worker, 'recycle')) return false;
      log.info(label(worker), 'worker is being replaced');
      reconcile();
      return true;
    },
    wanted: () => wanted,
    readyCount,
    workers: all,
    leave() {
      stopping = true;
      clearTimeout(pause);
      for (const worker of all()) worker.send({ type: 'leaving' });
    },
    async stop() {
      stopping = true;
      clearTimeout(pause);
      const [starting, others] = [all().filter(isStarting), all().filter((w) => !isStarting(w))];
      for (const worker of [...starting, ...others]) drain(worker);
      // A worker that is not ready yet holds no request.
      for (const worker of starting) kill(worker);
      const exits = await Promise.all(others.map(({ exited }) => exited));
      watchdog.close();
      return exits.every(({ signal, code }) => signal === null && code === exitCodes.ok);
    },
    kill() {
      stopping = true;
      watchdog.close();
      clearTimeout(pause);
      for (const worker of all()) kill(worker);
    },
  };
}
