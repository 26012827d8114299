import type { Logger } from '../../platform/telemetry/logger';
import type { WorkerHandle } from './worker-handle';
import { transition } from './worker-state';

/** The three ways to end a worker. Each may be called in every state. */
export interface WorkerActions {
  /** The worker serves until a successor is ready, and drains then. */
  recycle(worker: WorkerHandle): void;
  /**
   * The worker finishes its requests and exits; it is killed when that takes too long. `fail`: it
   * drains already, because of an error of its own.
   */
  drain(worker: WorkerHandle, cause?: 'drain' | 'fail'): void;
  /**
   * SIGKILL: SIGTERM would wait in a stopped process for ever. The state stays until the exit,
   * which is expected or not by the state before it.
   */
  kill(worker: WorkerHandle): void;
}

export interface WorkerActionsOptions {
  readonly drainDeadlineMs: number;
  readonly log: Logger;
  /** The worker takes no further connections. */
  readonly onDraining: (worker: WorkerHandle) => void;
}

/** Between a worker's own deadline for draining and ours for killing it. */
const KILL_GRACE_MS = 1000;

export function createWorkerActions(options: WorkerActionsOptions): WorkerActions {
  const { drainDeadlineMs, log, onDraining } = options;
  return {
    recycle(worker) {
      transition(worker, 'recycle');
    },
    drain(worker, cause = 'drain') {
      if (!transition(worker, cause)) return;
      onDraining(worker);
      worker.send({ type: 'drain' });
      const timer = setTimeout(() => {
        log.warn(
          { worker: worker.id, workerPid: worker.pid },
          'worker did not drain in time, killing',
        );
        worker.kill();
      }, drainDeadlineMs + KILL_GRACE_MS);
      void worker.exited.then(() => clearTimeout(timer));
    },
    kill: (worker) => worker.kill(),
  };
}
