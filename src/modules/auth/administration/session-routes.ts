import type { Request } from 'express';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { principalOf } from '../principal';
import type { SessionAdministration } from './session-administration';
import { sessionAdministrationEndpoints as endpoints } from './session-contract';

export interface SessionAdministrationRoutesDependencies {
  readonly service: SessionAdministration;
  /** Throws 401 unless the login was recent (RFC 9470): a stolen access token is not enough. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
}

export function createSessionAdministrationRoutes({
  service,
  assertRecentLogin,
}: SessionAdministrationRoutesDependencies): Route[] {
  /** A service account has no login: its token alone stands for it. */
  async function assertRecent(req: Request): Promise<void> {
    if (!principalOf(req).isService) await assertRecentLogin(req);
  }

  return [
    route(endpoints.list, async ({ params: { id } }, req) => ({
      status: 200,
      headers: NO_STORE,
      body: { data: await service.list(principalOf(req), id) },
    })),
    route(endpoints.endAll, async ({ params: { id } }, req) => {
      await assertRecent(req);
      await service.endAll(principalOf(req), id, clientOf(req));
      return { status: 204 };
    }),
    route(endpoints.end, async ({ params: { id, sessionId } }, req) => {
      await assertRecent(req);
      await service.end(principalOf(req), id, sessionId, clientOf(req));
      return { status: 204 };
    }),
  ];
}
