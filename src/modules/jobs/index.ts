import type { Request } from 'express';
import { problems } from '../../kernel/errors';
import type { Permission } from '../../kernel/permissions';
import { clientOf } from '../../platform/http/client-info';
import { type Route, route } from '../../platform/http/endpoint';
import { EVENT_STREAM_HEADERS } from '../../platform/http/live-streams';
import { NO_STORE } from '../../platform/http/no-store';
import { isFinal, type Job } from '../../platform/jobs/job';
import { jobIndexes } from '../../platform/jobs/job-document';
import { type JobFiles, readReport } from '../../platform/jobs/job-files';
import type { JobStore } from '../../platform/jobs/job-store';
import type { Module, ModuleStorage } from '../../platform/module';
import type { Cause, DomainEvents, EmitEvent } from '../domain-events';
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
  readonly requesterOf: (req: Request) => { readonly userId: string; readonly isService: boolean };
  /** Throws 401 unless the login of a user was recent (RFC 9470): a stolen token is not enough. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly emit: EmitEvent;
}

/** The jobs as clients see them. No I/O. */
export function createJobs(deps: JobsDependencies): Module<DomainEvents> {
  const { store, files, requesterOf, emit } = deps;
  const events = createProgressEvents({ ...deps, find: store.find });

  async function find(id: string): Promise<Job> {
    const job = await store.find(id);
    if (job === null) throw noSuchJob();
    return job;
  }

  const causeOf = (req: Request): Cause => ({
    actor: requesterOf(req).userId,
    client: clientOf(req),
  });

  /** A service account has no login that could be recent: it reads what it has sent itself. */
  async function assertMayReadReport(req: Request, { actor }: Job): Promise<void> {
    const { userId, isService } = requesterOf(req);
    if (!isService) await deps.assertRecentLogin(req);
    else if (actor !== userId) throw reportOfAnother();
  }

  const routes: Route[] = [
    route(jobEndpoints.get, async ({ params }) => ({
      status: 200,
      headers: NO_STORE,
      body: viewOfJob(await find(params.id)),
    })),
    route(jobEndpoints.cancel, async ({ params }, req) => {
      const { impersonation } = clientOf(req);
      const by = impersonation?.actor ?? requesterOf(req).userId;
      const cancelled = await store.cancel(params.id, by);
      if (cancelled === null) throw noSuchJob();
      const { job, isAsked } = cancelled;
      if (isAsked) emit('JobCancelled', { ...causeOf(req), jobId: job.id });
      // A job that waited has no process that would do this.
      if (isFinal(job)) await files.remove(job.id, 'input');
      return { status: 202, headers: NO_STORE, body: viewOfJob(job) };
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
    route(jobEndpoints.report, async ({ params }, req) => {
      const job = await find(params.id);
      const { id } = job;
      await assertMayReadReport(req, job);
      // Before the first byte: a report that is broken off was read, too. HEAD hands nothing out.
      if (req.method === 'GET') emit('JobReportRead', { ...causeOf(req), jobId: id });
      const headers = { ...NO_STORE, 'Content-Type': 'application/x-ndjson' };
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

const reportOfAnother = () =>
  problems.forbidden('A service account reads the reports of its own jobs alone.');
const noSuchJob = () => problems.notFound('There is no such job.', 'job_not_found');
