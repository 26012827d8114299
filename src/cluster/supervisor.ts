import type { Logger } from '../observability/logger';
import { exitCodes } from './exit-codes';
import type { Exit, WorkerHandle } from './handle';
import type { WorkerMessage } from './messages';
import type { Restarts } from './restarts';
import { type Finding, inspect, type WatchLimits } from './watchdog';

/**
 * Keeps the wanted number of workers ready. Everything that happens (a message, an exit, time) ends in `reconcile`,
 * which compares what there is with what is wanted; there is no other place that starts or retires a worker, save the
 * rolling reload, which replaces one by one.
 */
export interface Supervisor {
  /** Starts the workers. Resolves at the first ready one, or with an exit code when they never become ready. */
  start(): Promise<number | undefined>;
  reload(): Promise<boolean>;
  scale(wanted: number): void;
  wanted(): number;
  readyCount(): number;
  workers(): readonly WorkerHandle[];
  /** From here on nothing is started or replaced: the workers' readiness turns false, and connections still reach them. */
  leave(): void;
  /** Drains all workers; true when each finished all that it had. */
  stop(): Promise<boolean>;
  /** SIGKILL to all, at once. */
  kill(): void;
}

export interface SupervisorOptions {
  readonly wanted: number;
  readonly fork: (onMessage: (worker: WorkerHandle, message: WorkerMessage) => void) => WorkerHandle;
  readonly restarts: Restarts;
  readonly limits: WatchLimits;
  readonly drainDeadlineMs: number;
  readonly log: Logger;
  readonly now: () => number;
  /** The fleet has changed: connections go where it says. */
  readonly onReady: (worker: WorkerHandle) => void;
  readonly onLeaving: (worker: WorkerHandle, gone: boolean) => void;
  readonly onMessage: (worker: WorkerHandle, message: WorkerMessage) => void;
}

/** Between a worker's own deadline for draining and ours for killing it. */
const KILL_GRACE_MS = 1000;
/** A terminal's Ctrl-C reaches workers and primary alike: the primary's own signal, if there is one, comes first. */
const RETIRE_DELAY_MS = 250;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { fork, restarts, limits, drainDeadlineMs, log, now, onReady, onLeaving } = options;
  const fleet = new Set<WorkerHandle>();
  let wanted = options.wanted;
  let stopping = false;
  let begun = false;
  /** Why there is no hope that a worker will ever be ready. */
  let doomed: Exit | undefined;
  let reloading = false;
  let pause: NodeJS.Timeout | undefined;
  let started: ((code: number | undefined) => void) | undefined;
  let lastTickMs = now();

  const all = () => [...fleet];
  const isReady = (worker: WorkerHandle) => worker.state === 'ready';
  const serves = (worker: WorkerHandle) => isReady(worker) && !worker.suspect && !worker.worn;
  const counts = (worker: WorkerHandle) => worker.state === 'starting' || serves(worker);

  function start(): WorkerHandle {
    const worker = fork(hear);
    fleet.add(worker);
    void worker.exited.then((exit) => gone(worker, exit));
    log.debug({ worker: worker.id, workerPid: worker.pid }, 'worker started');
    return worker;
  }

  function hear(worker: WorkerHandle, message: WorkerMessage): void {
    worker.heardAtMs = now();
    if (message.type === 'beat') worker.lastBeat = message;
    if (message.type === 'ready' && worker.state === 'starting') becameReady(worker);
    if (message.type === 'retire') setTimeout(retire, RETIRE_DELAY_MS, worker);
    if (message.type === 'draining' && worker.state !== 'draining') {
      drain(worker);
      // Its end is in order, its cause is not: it counts as a crash.
      worker.expected = false;
    }
    options.onMessage(worker, message);
  }

  function retire(worker: WorkerHandle): void {
    if (stopping || worker.state !== 'ready') return;
    log.info({ worker: worker.id, workerPid: worker.pid }, 'a worker was told to end: it is replaced first');
    worker.worn = true;
    reconcile();
  }

  function becameReady(worker: WorkerHandle): void {
    worker.state = 'ready';
    worker.readyAtMs = now();
    restarts.ready(worker);
    onReady(worker);
    log.info(
      { worker: worker.id, workerPid: worker.pid, tookMs: Math.round(now() - worker.startedAtMs), ready: readyCount() },
      'worker ready',
    );
    started?.(undefined);
    doomed = undefined;
    reconcile();
  }

  function gone(worker: WorkerHandle, exit: Exit): void {
    worker.state = 'gone';
    fleet.delete(worker);
    onLeaving(worker, true);
    if (worker.expected) log.info({ worker: worker.id, workerPid: worker.pid, ...exit }, 'worker ended');
    else {
      restarts.died(worker);
      log.error({ worker: worker.id, workerPid: worker.pid, ...exit, ready: readyCount() }, 'worker died');
      // None was ever ready: no further one is started, and with the last that still tries the service gives up.
      if (started !== undefined && (restarts.hopeless() || exit.code === exitCodes.config)) doomed ??= exit;
    }
    if (doomed !== undefined && fleet.size === 0) giveUp(doomed);
    reconcile();
  }

  function giveUp(exit: Exit): void {
    const code = exit.code === exitCodes.config || exit.code === exitCodes.unavailable ? exit.code : exitCodes.software;
    stopping = true;
    log.fatal({ lastExit: exit, code }, 'no worker ever became ready: giving up');
    started?.(code);
  }

  function drain(worker: WorkerHandle): void {
    worker.expected = true;
    worker.state = 'draining';
    onLeaving(worker, false);
    worker.send({ type: 'drain' });
    const timer = setTimeout(() => {
      log.warn({ worker: worker.id, workerPid: worker.pid }, 'a worker did not finish draining in time: killed');
      worker.kill();
    }, drainDeadlineMs + KILL_GRACE_MS);
    void worker.exited.then(() => clearTimeout(timer));
  }

  function reconcile(): void {
    // The database is still being prepared: a worker that was ready before `start` asks for it would never be noticed.
    if (stopping || !begun || doomed !== undefined) return;
    clearTimeout(pause);
    const starting = all().filter((worker) => worker.state === 'starting').length;
    let missing = Math.min(wanted - all().filter(counts).length, restarts.concurrency() - starting);
    if (missing > 0 && restarts.pauseMs() > 0) {
      pause = setTimeout(reconcile, restarts.pauseMs());
      return;
    }
    for (; missing > 0; missing--) start();
    if (!reloading) retireSurplus();
  }

  /** Suspect and outgrown workers go once enough others are ready; then whatever is more than wanted, oldest first. */
  function retireSurplus(): void {
    let surplus = all().filter(isReady).length - wanted;
    const leaving = all()
      .filter(isReady)
      .sort((a, b) => Number(serves(a)) - Number(serves(b)) || a.startedAtMs - b.startedAtMs);
    for (const worker of leaving) {
      if (surplus-- <= 0) return;
      // Who has been silent cannot hear that it should drain: the watchdog decides on it.
      if (!worker.suspect) drain(worker);
    }
  }

  function tick(): void {
    const at = now();
    // This process itself was stopped or starved: silence of that time proves nothing. What was silent before stays so,
    // or a stopped worker would count as heard again.
    const blindMs = at - lastTickMs > limits.heartbeatMs * 4 ? at - lastTickMs : 0;
    lastTickMs = at;
    for (const worker of all()) {
      worker.heardAtMs += blindMs;
      restarts.alive(worker);
      const finding = inspect(worker, at, limits);
      if (finding !== undefined) act(worker, finding);
    }
    reconcile();
  }

  function act(worker: WorkerHandle, { action, reason }: Finding): void {
    log.warn({ worker: worker.id, workerPid: worker.pid, reason }, `watchdog: ${action}`);
    if (action === 'kill') worker.kill();
    else if (action === 'worn') worker.worn = true;
    else worker.suspect = action === 'suspect';
  }

  const watch = setInterval(tick, limits.heartbeatMs);

  /** The new one is ready before the old one drains; the first failure ends it, with the old ones still serving. */
  async function replaceOne(old: WorkerHandle): Promise<boolean> {
    const successor = start();
    successor.expected = true;
    const isUp = await new Promise<boolean>((resolve) => {
      const poll = setInterval(() => {
        if (successor.state === 'starting' && !stopping) return;
        clearInterval(poll);
        resolve(successor.state === 'ready');
      }, 10);
    });
    if (!isUp) return false;
    successor.expected = false;
    if (old.state === 'ready' || old.state === 'starting') drain(old);
    await old.exited;
    return true;
  }

  const readyCount = () => all().filter(isReady).length;

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
        log.warn('a reload is already under way');
        return false;
      }
      reloading = true;
      const olds = all().filter((worker) => worker.state !== 'draining');
      log.info({ workers: olds.length }, 'rolling reload begins');
      try {
        for (const [index, old] of olds.entries()) {
          if (await replaceOne(old)) continue;
          log.error(
            { replaced: index, kept: olds.length - index },
            'rolling reload stopped: the new worker did not become ready, the old ones keep serving',
          );
          return false;
        }
        log.info({ workers: olds.length }, 'rolling reload done');
        return true;
      } finally {
        reloading = false;
        reconcile();
      }
    },
    scale(count) {
      wanted = Math.max(1, count);
      log.info({ wanted }, 'scaling');
      reconcile();
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
      // Who is not ready yet holds no request.
      for (const worker of all().filter(({ state }) => state === 'starting')) {
        worker.expected = true;
        worker.kill();
      }
      const exits = all()
        .filter(({ state }) => state !== 'starting')
        .map(async (worker) => {
          if (worker.state !== 'draining') drain(worker);
          return worker.exited;
        });
      const ends = await Promise.all(exits);
      clearInterval(watch);
      return ends.every(({ signal, code }) => signal === null && code === exitCodes.ok);
    },
    kill() {
      stopping = true;
      clearInterval(watch);
      clearTimeout(pause);
      for (const worker of all()) worker.kill();
    },
  };
}
