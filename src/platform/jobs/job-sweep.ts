import { type Closable, jittered, repeatedly } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import type { JobFiles } from './job-files';
import type { JobStore } from './job-store';

export interface SweepOptions {
  readonly store: Pick<JobStore, 'expired' | 'remove'>;
  readonly files: Pick<JobFiles, 'remove'>;
  readonly log: Logger;
  readonly everyMs?: number;
}

const EVERY_MS = 60_000;
const JOBS_AT_ONCE = 100;

/** Removes jobs that were kept long enough, and broken uploads, with their files. */
export async function sweepJobs({ store, files }: SweepOptions): Promise<number> {
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
    (error) => options.log.warn({ err: error }, 'expired jobs not removed'),
  );
