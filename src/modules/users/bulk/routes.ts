import type { Request } from 'express';
import { problems } from '../../../kernel/errors';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { openUpload } from '../../../platform/http/upload';
import type { EmitEvent } from '../../domain-events';
import type { Requester, RequesterOf } from '../requester';
import { bulkEndpoints } from './contract';
import type { createExport } from './export';
import { type Format, MEDIA_TYPES } from './format';
import type { createIntake } from './intake';
import type { PresentRequester } from './present-requester';

export interface BulkRoutesDependencies {
  readonly intake: ReturnType<typeof createIntake>;
  readonly exported: ReturnType<typeof createExport>;
  readonly presentRequester: PresentRequester;
  readonly uploadTimeoutMs: number;
  readonly maxBytes: number;
  readonly requesterOf: RequesterOf;
  /** Throws 401 unless the login of a user was recent (RFC 9470): a stolen token is not enough. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly emit: EmitEvent;
  /** A job was queued. */
  readonly nudge: () => void;
}

export function createBulkRoutes(deps: BulkRoutesDependencies): Route[] {
  const { intake, exported, requesterOf, assertRecentLogin, emit, nudge } = deps;
  const endpoints = bulkEndpoints(deps);

  return [
    route(endpoints.import, async ({ query }, req) => {
      await assertRecentLogin(req);
      const actor = orderedBy(requesterOf(req));
      const { userId } = actor;
      const { conflict = 'skip', match = 'email', dry_run: dryRun = false } = query;
      const order = { format: formatOf(req), conflict, match, dryRun, actor };
      const { id, progress } = await intake(openUpload(req), order);
      emit('UsersImportRequested', { actor: userId, client: clientOf(req), jobId: id, dryRun });
      nudge();
      const body = { id, state: 'queued', records: progress['total'] ?? 0 };
      return { status: 202, headers: { Location: `/api/jobs/${id}` }, body };
    }),
    route(endpoints.export, async ({ query: { format = 'ndjson' } }, req) => {
      await assertRecentLogin(req);
      const actor = orderedBy(requesterOf(req));
      const assertAllowed = async () => {
        const { permissions } = await deps.presentRequester(actor);
        if (!permissions.has('users:export')) throw exportEnds();
      };
      // Before the first byte: an export that is broken off was one, too.
      emit('UsersExported', { actor: actor.userId, client: clientOf(req), format });
      const headers = {
        'Content-Type': MEDIA_TYPES[format],
        'Content-Disposition': `attachment; filename="users.${format}"`,
        'Cache-Control': 'no-store',
      };
      return { status: 200, headers, stream: exported(format, assertAllowed) };
    }),
  ];
}

const orderedBy = ({ userId, permissions, isService }: Requester) => ({
  userId,
  permissions: [...permissions],
  isService,
});

const exportEnds = () => problems.forbidden('Whoever asked for this export may no longer have it.');

const formatOf = ({ headers }: Request): Format =>
  headers['content-type']?.toLowerCase().startsWith(MEDIA_TYPES.csv) === true ? 'csv' : 'ndjson';
