import { jobIndexes } from '../../platform/jobs/job-document';
import type { JobStore } from '../../platform/jobs/job-store';
import type { Module, ModuleStorage } from '../../platform/module';
import type { DomainEvents } from '../domain-events';
import { createJobExport } from './personal-data';
import { createProgressEvents, type ProgressOptions } from './progress-events';
import { jobQueryShapes } from './query-shapes';
import { createJobRoutes, type JobRoutesDependencies } from './routes';
import { createJobService, type JobServiceDependencies } from './service';

export const jobsStorage: ModuleStorage = {
  indexes: () => [jobIndexes],
  queryShapes: jobQueryShapes,
};

export interface JobsDependencies
  extends Omit<JobServiceDependencies, 'store'>,
    Omit<JobRoutesDependencies, 'service' | 'events'>,
    Pick<ProgressOptions, 'draining'> {
  readonly store: Pick<JobStore, 'find' | 'cancel' | 'ofActor' | 'renameActor'>;
}

/** The jobs as clients see them. No I/O. */
export function createJobs(deps: JobsDependencies): Module<DomainEvents> {
  const { store } = deps;
  const events = createProgressEvents({ ...deps, find: store.find });
  return {
    name: 'jobs',
    storage: jobsStorage,
    routes: createJobRoutes({ ...deps, service: createJobService(deps), events }),
    personalData: createJobExport(store),
    purge: ({ userId, pseudonym }) => store.renameActor(userId, pseudonym),
  };
}
