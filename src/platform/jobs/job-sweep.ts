import { type Closable, jittered, repeatedly } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import type { TellEnd } from './job-ends';
import type { JobFiles } from './job-files';
import type { JobStore } from './job-store';

export interface SweepOptions {
  readonly store: Pick<JobStore, 'expired' | 'remove' | 'untold'>;
  readonly files: Pick<JobFiles, 'remove'>;
  /** The kinds of jobs whose ends this process can tell. */
  readonly kinds: readonly string[];
  readonly tell: TellEnd;
  readonly log: Logger;
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;
const JOBS_AT_ONCE = 100;

/**
 * Tells of ends that were not told, then removes jobs that were kept long enough, and broken
 * uploads, with their files.
 */
export async function sweepJobs(options: SweepOptions): Promise<number> {
  const { store, files, kinds, tell } = options;
  for (const job of await store.untold(kinds, JOBS_AT_ONCE)) await tell(job);
  const expired = await store.expired(JOBS_AT_ONCE);
  for (const id of expired) {
    // The files first: they are found by the job.
    await files.remove(id);
    await store.remove(id);
  }
  return expired.length;
}

/** Sweeps now and then. Two processes may sweep at the same time. */
export const startJobSweep = (options: SweepOptions): Closable =>
  repeatedly(
    () => jittered(options.everyMs ?? EVERY_MS, 0.5),
    () => sweepJobs(options),
    (error) => options.log.warn({ err: error }, 'jobs not swept'),
  );
