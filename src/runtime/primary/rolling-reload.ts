import type { Logger } from '../../platform/telemetry/logger';
import type { WorkerActions } from './worker-actions';
import type { WorkerHandle } from './worker-handle';
import { isDraining, isReady, isStarting } from './worker-state';

export interface RollingReloadOptions {
  readonly workers: () => readonly WorkerHandle[];
  /** Starts a worker as `candidate`; `prepares` as for SupervisorOptions.fork. */
  readonly startCandidate: (prepares: boolean) => WorkerHandle;
  readonly drain: WorkerActions['drain'];
  /** The service shuts down: no candidate will be ready any more. */
  readonly isStopping: () => boolean;
  readonly log: Logger;
}

const POLL_MS = 10;

/**
 * Replaces the workers one by one, each successor ready before its predecessor drains. The first
 * successor that fails ends it, with the old workers still serving.
 */
export async function rollingReload(options: RollingReloadOptions): Promise<boolean> {
  const { log } = options;
  const olds = options.workers().filter((worker) => !isDraining(worker));
  log.info({ workers: olds.length }, 'rolling reload started');
  for (const [index, old] of olds.entries()) {
    // The first one runs the build that is there now, whose indexes may be others than this process
    // knows.
    if (await replace(old, index === 0, options)) continue;
    log.error(
      { replaced: index, kept: olds.length - index },
      'rolling reload stopped: new worker not ready, old workers keep serving',
    );
    return false;
  }
  log.info({ workers: olds.length }, 'rolling reload finished');
  return true;
}

async function replace(
  old: WorkerHandle,
  prepares: boolean,
  { startCandidate, drain, isStopping }: RollingReloadOptions,
): Promise<boolean> {
  const successor = startCandidate(prepares);
  while (isStarting(successor) && !isStopping())
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  if (!isReady(successor)) return false;
  drain(old);
  await old.exited;
  return true;
}
