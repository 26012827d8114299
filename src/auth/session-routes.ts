import type { Request } from 'express';
import { principalOf, type Route, route } from '../http/endpoint';
import { clientOf } from './client';
import type { AuthService } from './service';
import { sessionEndpoints } from './session-contract';
import type { CurrentSession } from './sessions';

export function createSessionRoutes({ service }: { service: AuthService }): Route[] {
  return [
    route(sessionEndpoints.logout, async ({ query }, req) => {
      await service.logout(currentSession(req), query.scope ?? 'local', clientOf(req));
      return { status: 204 };
    }),
    route(sessionEndpoints.list, async (_input, req) => ({
      status: 200,
      headers: { 'Cache-Control': 'no-store' },
      body: { data: await service.sessions(currentSession(req)) },
    })),
    route(sessionEndpoints.remove, async ({ params }, req) => {
      await service.endSession(currentSession(req), params.id, clientOf(req));
      return { status: 204 };
    }),
  ];
}

export function currentSession(req: Request): CurrentSession {
  const { userId, sessionId, sessionVersion } = principalOf(req);
  return { userId, sid: sessionId, ver: sessionVersion };
}
