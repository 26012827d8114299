import type { Request } from 'express';
import { problems } from '../../kernel/errors';
import type { Permission } from '../../kernel/permissions';
import { type Route, route } from '../../platform/http/endpoint';
import { EVENT_STREAM_HEADERS } from '../../platform/http/live-streams';
import { isFinal, type Job } from '../../platform/jobs/job';
import { jobIndexes } from '../../platform/jobs/job-document';
import { type JobFiles, readReport } from '../../platform/jobs/job-files';
import type { JobStore } from '../../platform/jobs/job-store';
import type { Module, ModuleStorage } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import { jobEndpoints, viewOfJob } from './contract';
import { createJobExport } from './personal-data';
import { createProgressEvents, type ProgressOptions } from './progress-events';
import { jobQueryShapes } from './query-shapes';

export const jobsStorage: ModuleStorage = {
  indexes: () => [jobIndexes],
  queryShapes: jobQueryShapes,
};

export interface JobsDependencies extends Pick<ProgressOptions, 'draining'> {
  readonly mayStill: (req: Request, permission: Permission) => Promise<boolean>;
  readonly store: Pick<JobStore, 'find' | 'cancel' | 'ofActor' | 'renameActor'>;
  readonly files: Pick<JobFiles, 'numbersAfter' | 'get' | 'remove'>;
}

/** The jobs as clients see them. No I/O. */
export function createJobs(deps: JobsDependencies): Module<DomainEvents> {
  const { store, files } = deps;
  const events = createProgressEvents({ ...deps, find: store.find });

  async function find(id: string): Promise<Job> {
    const job = await store.find(id);
    if (job === null) throw noSuchJob();
    return job;
  }

  const routes: Route[] = [
    route(jobEndpoints.get, async ({ params }) => ({
      status: 200,
      headers: NOT_STORED,
      body: viewOfJob(await find(params.id)),
    })),
    route(jobEndpoints.cancel, async ({ params }) => {
      const job = await store.cancel(params.id);
      if (job === null) throw noSuchJob();
      // A job that waited has no process that would do this.
      if (isFinal(job)) await files.remove(job.id, 'input');
      return { status: 202, headers: NOT_STORED, body: viewOfJob(job) };
    }),
    route(jobEndpoints.events, async ({ params }, req) => {
      const job = await find(params.id);
      const header = req.headers['last-event-id'];
      const seen = typeof header === 'string' ? header : undefined;
      const isAllowed = () => deps.mayStill(req, 'users:import');
      return {
        status: 200,
        headers: EVENT_STREAM_HEADERS,
        stream: (closed) => events(job, { seen, isAllowed, closed }),
      };
    }),
    route(jobEndpoints.report, async ({ params }) => {
      const { id } = await find(params.id);
      const headers = { ...NOT_STORED, 'Content-Type': 'application/x-ndjson' };
      return { status: 200, headers, stream: readReport(files, id) };
    }),
  ];
  return {
    name: 'jobs',
    storage: jobsStorage,
    routes,
    personalData: createJobExport(deps.store),
    purge: ({ userId, pseudonym }) => deps.store.renameActor(userId, pseudonym),
  };
}

const NOT_STORED = { 'Cache-Control': 'no-store' } as const;
const noSuchJob = () => problems.notFound('There is no such job.', 'job_not_found');
