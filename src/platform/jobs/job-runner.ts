import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs, type Closable, jittered, withTimeout } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import { NO_TRACING, type Tracing, within } from '../telemetry/tracing';
import { type Job, JobFailedError, LeaseLostError } from './job';
import type { TellEnd } from './job-ends';
import type { JobFiles } from './job-files';
import type { JobHandler } from './job-handler';
import { type JobRun, startRun } from './job-run';
import type { JobStore } from './job-store';

/** Claims jobs and runs them, one at a time in this process. */
export interface JobRunner extends Closable {
  /** A job was queued: look for it now. */
  nudge(): void;
}

export interface JobRunnerOptions {
  readonly store: JobStore;
  readonly files: Pick<JobFiles, 'remove'>;
  /** By the kind of job. */
  readonly handlers: ReadonlyMap<string, JobHandler>;
  readonly tell: TellEnd;
  /** Names this process in the jobs it runs. */
  readonly holder: string;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly closeTimeoutMs: number;
  readonly log: Logger;
  readonly tracing?: Tracing | undefined;
  /** Counts the ends of attempts. */
  readonly count?: (kind: string, result: AttemptResult) => void;
}

export const ATTEMPT_RESULTS = [
  'done',
  'failed',
  'cancelled',
  'retried',
  'handed_back',
  'lease_lost',
] as const;
type AttemptResult = (typeof ATTEMPT_RESULTS)[number];

/** Claims of one job without a checkpoint between them. */
const ATTEMPTS_MAX = 5;
const RETRY_BASE_MS = 1000;
const RETRY_MAX_MS = 60_000;

export function startJobRunner(options: JobRunnerOptions): JobRunner {
  const { store, files, handlers, holder, pollMs, closeTimeoutMs, log } = options;
  const { count = () => {}, tracing = NO_TRACING } = options;
  const stop = new AbortController();
  const kinds = [...handlers.keys()];
  let sleeping = new AbortController();
  let current: JobRun | undefined;

  async function runNext(): Promise<boolean> {
    const claimedAt = performance.now();
    const job = await store.claim(kinds, holder);
    if (job === null) return false;
    const fields = { job: job.id, kind: job.kind, fence: job.fence };
    log.info(
      { ...fields, ...(job.resumedAt !== undefined && { at: job.resumedAt }) },
      'job started',
    );
    const span = spanOf(job);
    const result = await within(tracing, span, async () => {
      const ended = await attempt(job, claimedAt);
      span?.set({ 'job.result': ended });
      return ended;
    });
    count(job.kind, result);
    log.info({ ...fields, result }, 'job attempt ended');
    return true;
  }

  /** A trace of its own: the request has been answered long before. */
  function spanOf({ id, kind, attempts, origin }: Job) {
    return tracing.begin(`job ${kind}`, origin, { 'job.id': id, 'job.attempt': attempts });
  }

  async function attempt(job: Job, claimedAt: number): Promise<AttemptResult> {
    const work = handlers.get(job.kind)?.work;
    if (work === undefined) throw new Error(`no handler of the kind ${job.kind}`);
    if (job.isCancelling) return end(job, 'cancelled');
    if (job.attempts > ATTEMPTS_MAX) {
      const message = `The job ended ${ATTEMPTS_MAX} processes without getting on.`;
      return end(job, 'failed', { failure: { code: 'too_many_attempts', message } });
    }
    const run = startRun(job, { ...options, claimedAt });
    current = run;
    // A close that came before could not stop this run.
    if (stop.signal.aborted) run.stop('closing');
    try {
      await work(run);
      return await end(job, 'done');
    } catch (error) {
      return await failed(job, run, error).catch((late: unknown) => {
        if (late instanceof LeaseLostError) return leaseLost(job);
        throw late;
      });
    } finally {
      current = undefined;
      run.end();
    }
  }

  /** Handles an attempt that did not succeed. */
  async function failed(job: Job, run: JobRun, error: unknown): Promise<AttemptResult> {
    const { stopped } = run;
    if (stopped === 'lost' || error instanceof LeaseLostError) return leaseLost(job);
    if (stopped === 'cancelled') return end(job, 'cancelled');
    if (stopped === 'closing') {
      await store.handBack(job);
      return 'handed_back';
    }
    if (error instanceof JobFailedError) {
      const { code, message, progress } = error;
      return end(job, 'failed', { failure: { code, message }, progress });
    }
    log.error({ err: error, job: job.id, kind: job.kind }, 'job attempt failed');
    const attempts = (await store.find(job.id))?.attempts ?? job.attempts;
    if (attempts >= ATTEMPTS_MAX) {
      const message = 'The job failed repeatedly for a reason that is in the log of the service.';
      return end(job, 'failed', { failure: { code: 'internal_error', message } });
    }
    await store.retryLater(job, backoffMs(attempts, RETRY_BASE_MS, RETRY_MAX_MS));
    return 'retried';
  }

  function leaseLost(job: Job): AttemptResult {
    log.warn({ job: job.id, fence: job.fence }, 'job lease lost');
    return 'lease_lost';
  }

  async function end(...args: Parameters<JobStore['finish']>): Promise<AttemptResult> {
    const job = await store.finish(...args);
    // The sweep repeats it where this fails.
    await options.tell(job).catch((error: unknown) => {
      log.warn({ err: error, job: job.id }, 'job end not delivered, will be retried');
    });
    await files.remove(job.id, 'input').catch((error: unknown) => {
      log.warn({ err: error, job: job.id }, 'input of a job not removed');
    });
    return args[1];
  }

  async function loop(): Promise<void> {
    while (!stop.signal.aborted) {
      // Before the look: a job that is queued during it may be too late for it.
      const sleep = new AbortController();
      sleeping = sleep;
      const found = await runNext().catch((error: unknown) => {
        // The database is out of reach. A lease that could not be given back runs out.
        log.warn({ err: error }, 'jobs not claimed');
        return false;
      });
      if (found || stop.signal.aborted) continue;
      const pause = { signal: sleep.signal, ref: false };
      await delay(jittered(pollMs), undefined, pause).catch(() => undefined);
    }
  }
  const done = loop();

  return {
    nudge: () => sleeping.abort(),
    close() {
      stop.abort();
      sleeping.abort();
      current?.stop('closing');
      return withTimeout(done, closeTimeoutMs, 'handing back a job');
    },
  };
}
