import type { Job } from './job';
import type { JobHandler } from './job-handler';
import type { JobStore } from './job-store';

export interface JobEndsOptions {
  /** By the kind of job. */
  readonly handlers: ReadonlyMap<string, JobHandler>;
  readonly store: Pick<JobStore, 'told'>;
  /** Resolves when what handlers have told is stored. */
  readonly stored: () => Promise<void>;
}

/** Tells that a job has ended. */
export type TellEnd = (job: Job) => Promise<void>;

/**
 * At least once: the job says that nobody was told until what was told is stored, so the sweep of
 * any process makes up for one that died in between.
 */
export const createTellEnd =
  ({ handlers, store, stored }: JobEndsOptions): TellEnd =>
  async (job) => {
    handlers.get(job.kind)?.ended?.(job);
    await stored();
    await store.told(job.id);
  };
