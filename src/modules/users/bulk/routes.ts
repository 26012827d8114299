import type { Request } from 'express';
import { problems } from '../../../kernel/errors';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { openUpload } from '../../../platform/http/upload';
import type { Requester, RequesterOf } from '../requester';
import { bulkEndpoints } from './contract';
import { type Format, MEDIA_TYPES } from './format';
import type { PresentRequester } from './present-requester';
import type { BulkRequests } from './requests';

export interface BulkRoutesDependencies {
  readonly requests: BulkRequests;
  readonly presentRequester: PresentRequester;
  readonly uploadTimeoutMs: number;
  readonly maxBytes: number;
  readonly requesterOf: RequesterOf;
  /** Throws 401 unless the login of a user was recent (RFC 9470): a stolen token is not enough. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
}

export function createBulkRoutes(deps: BulkRoutesDependencies): Route[] {
  const { requests, requesterOf, assertRecentLogin } = deps;
  const endpoints = bulkEndpoints(deps);

  return [
    route(endpoints.import, async ({ query }, req) => {
      await assertRecentLogin(req);
      const actor = orderedBy(requesterOf(req));
      const { conflict = 'skip', match = 'email', dry_run: dryRun = false } = query;
      const order = { format: formatOf(req), conflict, match, dryRun, actor };
      const { id, progress } = await requests.requestImport(openUpload(req), order, clientOf(req));
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
      const request = { actor: actor.userId, client: clientOf(req), format };
      const headers = {
        'Content-Type': MEDIA_TYPES[format],
        'Content-Disposition': `attachment; filename="users.${format}"`,
        'Cache-Control': 'no-store',
      };
      return { status: 200, headers, stream: requests.exportUsers(request, assertAllowed) };
    }),
  ];
}

const orderedBy = ({ userId, permissions, isService }: Requester) => ({
  userId,
  permissions: [...permissions],
  isService,
});

const exportEnds = () =>
  problems.forbidden('The requester of this export may no longer export users.');

const formatOf = ({ headers }: Request): Format =>
  headers['content-type']?.toLowerCase().startsWith(MEDIA_TYPES.csv) === true ? 'csv' : 'ndjson';
