import type { ClientInfo } from '../../../platform/http/client-info';
import type { Job } from '../../../platform/jobs/job';
import type { EmitEvent } from '../../domain-events';
import type { createExport } from './export';
import type { Format } from './format';
import type { createIntake, ImportOrder } from './intake';

export interface BulkRequestsDependencies {
  readonly intake: ReturnType<typeof createIntake>;
  readonly exported: ReturnType<typeof createExport>;
  readonly emit: EmitEvent;
  /** A job was queued. */
  readonly nudge: () => void;
}

interface ExportRequest {
  readonly actor: string;
  readonly client: ClientInfo;
  readonly format: Format;
}

/** Imports and exports on request: of a route or of a command. */
export interface BulkRequests {
  /** Stores the file, and queues the job. */
  requestImport(bytes: AsyncIterable<Buffer>, order: ImportOrder, client: ClientInfo): Promise<Job>;
  /** `assertAllowed`: throws where the actor may not have the next page. */
  exportUsers(request: ExportRequest, assertAllowed?: () => Promise<void>): AsyncGenerator<string>;
}

export function createBulkRequests(deps: BulkRequestsDependencies): BulkRequests {
  const { intake, exported, emit, nudge } = deps;
  return {
    async requestImport(bytes, order, client) {
      const { actor, dryRun } = order;
      const job = await intake(bytes, order);
      emit('UsersImportRequested', { actor: actor.userId, client, jobId: job.id, dryRun });
      nudge();
      return job;
    },
    async *exportUsers({ actor, client, format }, assertAllowed) {
      // With the first byte: an export that breaks off was one, too. HEAD takes nothing from here.
      emit('UsersExported', { actor, client, format });
      yield* exported(format, assertAllowed);
    },
  };
}
