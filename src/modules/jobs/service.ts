import { problems } from '../../kernel/errors';
import { isFinal, type Job } from '../../platform/jobs/job';
import { type JobFiles, readReport } from '../../platform/jobs/job-files';
import type { JobStore } from '../../platform/jobs/job-store';
import type { ActorCause, Cause, EmitEvent } from '../domain-events';

export interface JobServiceDependencies {
  readonly store: Pick<JobStore, 'find' | 'cancel'>;
  readonly files: Pick<JobFiles, 'numbersAfter' | 'get' | 'remove'>;
  readonly emit: EmitEvent;
}

export interface JobService {
  /** Throws 404. */
  find(id: string): Promise<Job>;
  /** Asks a job to stop; one that waited has stopped when it resolves. Throws 404. */
  cancel(id: string, cause: ActorCause): Promise<Job>;
  /** The records that the job did not take, as NDJSON. */
  report(id: string, cause: Cause): AsyncGenerator<Buffer>;
}

export function createJobService({ store, files, emit }: JobServiceDependencies): JobService {
  return {
    async find(id) {
      const job = await store.find(id);
      if (job === null) throw noSuchJob();
      return job;
    },
    async cancel(id, cause) {
      const by = cause.client.impersonation?.actor ?? cause.actor;
      const cancelled = await store.cancel(id, by);
      if (cancelled === null) throw noSuchJob();
      const { job, isAsked } = cancelled;
      if (isAsked) emit('JobCancelled', { ...cause, jobId: job.id });
      // A job that waited has no process that would do this.
      if (isFinal(job)) await files.remove(job.id, 'input');
      return job;
    },
    async *report(id, cause) {
      // With the first byte: a report that breaks off was read, too. HEAD takes nothing from here.
      emit('JobReportRead', { ...cause, jobId: id });
      yield* readReport(files, id);
    },
  };
}

const noSuchJob = () => problems.notFound('There is no such job.', 'job_not_found');
