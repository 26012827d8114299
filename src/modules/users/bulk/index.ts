import type { Connection } from 'mongoose';
import { NO_CLIENT } from '../../../platform/http/client-info';
import type { Route } from '../../../platform/http/endpoint';
import type { Traffic } from '../../../platform/http/traffic';
import type { JobFiles } from '../../../platform/jobs/job-files';
import type { JobHandler } from '../../../platform/jobs/job-handler';
import type { JobStore } from '../../../platform/jobs/job-store';
import type { EmitEvent } from '../../domain-events';
import type { UserModel } from '../model';
import type { PasswordsPort } from '../passwords-port';
import type { ApplyDependencies } from './apply';
import { createExport } from './export';
import { createImportWork, type PrepareRows } from './import-work';
import { createIntake, IMPORT_KIND } from './intake';
import { createPresentRequester, type PresentRequesterDependencies } from './present-requester';
import { type BulkRequests, createBulkRequests } from './requests';
import { type BulkRoutesDependencies, createBulkRoutes } from './routes';

/** Dependencies of bulk work from outside of the users. */
export interface BulkDependencies {
  readonly store: JobStore;
  readonly files: JobFiles;
  readonly prepare: PrepareRows;
  readonly nudge: () => void;
  readonly restMs: Traffic['restMs'];
  /** Resolves when the events emitted so far are in the audit log. */
  readonly stored: () => Promise<void>;
  readonly maxBytes: number;
  readonly maxLines: number;
  readonly uploadTimeoutMs: number;
}

export interface Bulk extends BulkRequests {
  readonly routes: readonly Route[];
  readonly jobs: Readonly<Record<string, JobHandler>>;
}

interface Context
  extends Omit<ApplyDependencies, 'users' | 'noPassword' | 'activeJobs' | 'stored'>,
    PresentRequesterDependencies,
    Pick<BulkRoutesDependencies, 'requesterOf' | 'assertRecentLogin'> {
  readonly connection: Connection;
  readonly model: UserModel;
  readonly emit: EmitEvent;
  readonly timeoutMs: number;
  readonly passwords: Pick<PasswordsPort, 'exportHash' | 'none'>;
}

export function createBulk(deps: BulkDependencies, context: Context): Bulk {
  const { model: users, emit } = context;
  const { exportHash, none: noPassword } = context.passwords;
  const intake = createIntake(deps);
  const exported = createExport({ ...context, users, exportHash });
  const presentRequester = createPresentRequester(context);
  const requests = createBulkRequests({ ...deps, intake, exported, emit });
  const own = { users, noPassword, presentRequester, activeJobs: deps.store.active };
  return {
    ...requests,
    routes: createBulkRoutes({ ...deps, ...context, requests, presentRequester }),
    jobs: {
      [IMPORT_KIND]: {
        work: createImportWork({ ...deps, ...context, ...own }),
        ended({ id, state, cancelledBy, ...job }) {
          const actor = (state === 'cancelled' ? cancelledBy : undefined) ?? job.actor;
          emit('UsersImported', { actor, client: NO_CLIENT, jobId: id, state });
        },
      },
    },
  };
}
