import type { Request } from 'express';
import { clientOf } from '../../platform/http/client-info';
import { type Route, route } from '../../platform/http/endpoint';
import type { PersonalData } from '../../platform/module';
import type { EmitEvent } from '../domain-events';
import { exportEndpoint } from './contract';
import { jsonOf } from './export';

export interface ExportDependencies {
  readonly parts: readonly PersonalData[];
  readonly requesterOf: (req: Request) => { readonly userId: string };
  /** Throws 401 unless the login of the request was recent (RFC 9470). */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly emit: EmitEvent;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

const HEADERS = {
  'Content-Type': 'application/json',
  'Content-Disposition': 'attachment; filename="personal-data.json"',
  'Cache-Control': 'no-store',
} as const;

export function createExportRoutes(deps: ExportDependencies): Route[] {
  const { parts, requesterOf, assertRecentLogin, emit, now } = deps;
  return [
    route(exportEndpoint(parts), async (_input, req) => {
      const { userId } = requesterOf(req);
      // A stolen access token must not take everything at once.
      await assertRecentLogin(req);
      const read = await Promise.all(parts.map((part) => part.read(userId)));
      const sections = Object.assign({}, ...read) as Awaited<ReturnType<PersonalData['read']>>;
      // HEAD hands nothing out.
      if (req.method === 'GET') emit('PersonalDataExported', { userId, client: clientOf(req) });
      const exported_at = new Date(now()).toISOString();
      return { status: 200, headers: HEADERS, stream: jsonOf({ exported_at, ...sections }) };
    }),
  ];
}
