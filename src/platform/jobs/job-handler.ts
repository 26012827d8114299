import type { Job } from './job';
import type { Work } from './job-run';

/** How a kind of job is done. */
export interface JobHandler {
  readonly work: Work;
  /** Called when the job has ended, whatever its final state: at least once. */
  ended?(job: Job): void;
}
