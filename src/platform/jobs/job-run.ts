import { type Job, type JobProgress, LeaseLostError } from './job';
import type { JobStore } from './job-store';

/** Why a run has to stop before its end. */
type Stopped = 'lost' | 'cancelled' | 'closing';

/** One attempt at a job, by one process, under one lease. */
export interface JobRun {
  readonly job: Job;
  /** Aborts when the attempt has to stop: the work throws as soon as it can. */
  readonly signal: AbortSignal;
  readonly leaseMs: number;
  readonly stopped: Stopped | undefined;
  /**
   * Throws unless the lease lasts another `ms`, by the monotonic clock of this process: to be asked
   * right before a write that the fencing number cannot guard.
   */
  assertHeld(ms: number): void;
  /** Everything up to here is done. Throws LeaseLostError. */
  checkpoint(checkpoint: number, progress: JobProgress): Promise<void>;
  stop(reason: Stopped): void;
  /** Ends the heartbeat. */
  end(): void;
}

/** Does the job from its checkpoint on. Throws when it could not. */
export type Work = (run: JobRun) => Promise<void>;

export interface RunOptions {
  readonly store: Pick<JobStore, 'renew' | 'checkpoint'>;
  readonly leaseMs: number;
  /** By `performance.now()` before the claim was sent: this process ends its lease first. */
  readonly claimedAt: number;
}

/** In a lease. A late one of them is still before half the lease: `assertHeld` asks for a third. */
const HEARTBEATS = 8;

/** Renews the lease until `end`. */
export function startRun(job: Job, { store, leaseMs, claimedAt }: RunOptions): JobRun {
  const abort = new AbortController();
  let stopped: Stopped | undefined;
  let heldUntilMs = claimedAt + leaseMs;

  function stop(reason: Stopped): void {
    if (stopped !== undefined) return;
    stopped = reason;
    abort.abort(new Error(`the job was stopped: ${reason}`));
  }

  /** A command of the holder, which also renews the lease. */
  async function held(command: () => Promise<Job>): Promise<void> {
    const began = performance.now();
    try {
      const { isCancelling } = await command();
      heldUntilMs = Math.max(heldUntilMs, began + leaseMs);
      if (isCancelling) stop('cancelled');
    } catch (error) {
      if (error instanceof LeaseLostError) stop('lost');
      throw error;
    }
  }

  const heartbeat = setInterval(() => {
    if (performance.now() > heldUntilMs) stop('lost');
    // The next one tries again, until the lease is over.
    else held(() => store.renew(job)).catch(() => undefined);
  }, leaseMs / HEARTBEATS);
  heartbeat.unref();

  return {
    job,
    signal: abort.signal,
    leaseMs,
    get stopped() {
      return stopped;
    },
    assertHeld(ms) {
      abort.signal.throwIfAborted();
      if (performance.now() + ms <= heldUntilMs) return;
      stop('lost');
      throw new LeaseLostError(`the lease on the job ${job.id} was not renewed in time`);
    },
    async checkpoint(checkpoint, progress) {
      await held(() => store.checkpoint(job, checkpoint, progress));
      abort.signal.throwIfAborted();
    },
    stop,
    end: () => clearInterval(heartbeat),
  };
}
