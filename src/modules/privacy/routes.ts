import type { Request } from 'express';
import { clientOf } from '../../platform/http/client-info';
import { type Route, route } from '../../platform/http/endpoint';
import type { PersonalData } from '../../platform/module';
import { exportEndpoint } from './contract';
import type { PersonalDataExport } from './export';

export interface ExportRoutesDependencies {
  readonly parts: readonly PersonalData[];
  readonly exported: PersonalDataExport;
  readonly requesterOf: (req: Request) => { readonly userId: string };
  /** Throws 401 unless the login of the request was recent (RFC 9470). */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
}

const HEADERS = {
  'Content-Type': 'application/json',
  'Content-Disposition': 'attachment; filename="personal-data.json"',
  'Cache-Control': 'no-store',
} as const;

export function createExportRoutes(deps: ExportRoutesDependencies): Route[] {
  const { parts, exported, requesterOf, assertRecentLogin } = deps;
  return [
    route(exportEndpoint(parts), async (_input, req) => {
      // A stolen access token must not take everything at once.
      await assertRecentLogin(req);
      const stream = await exported(requesterOf(req).userId, clientOf(req));
      return { status: 200, headers: HEADERS, stream };
    }),
  ];
}
