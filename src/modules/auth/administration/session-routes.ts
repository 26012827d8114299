import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { principalOf } from '../principal';
import type { SessionAdministration } from './session-administration';
import { sessionAdministrationEndpoints as endpoints } from './session-contract';

export function createSessionAdministrationRoutes(service: SessionAdministration): Route[] {
  return [
    route(endpoints.list, async ({ params: { id } }, req) => ({
      status: 200,
      headers: { 'Cache-Control': 'no-store' },
      body: { data: await service.list(principalOf(req), id) },
    })),
    route(endpoints.endAll, async ({ params: { id } }, req) => {
      await service.endAll(principalOf(req), id, clientOf(req));
      return { status: 204 };
    }),
    route(endpoints.end, async ({ params: { id, sessionId } }, req) => {
      await service.end(principalOf(req), id, sessionId, clientOf(req));
      return { status: 204 };
    }),
  ];
}
