import type { Request } from 'express';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { refuseImpersonator } from '../authorize';
import { NO_REFRESH_COOKIE, readRefreshCookie } from '../browser/refresh-cookie';
import { principalOf } from '../principal';
import { sessionEndpoints } from './contract';
import type { CurrentSession } from './end-sessions';
import type { OwnSessions } from './own-sessions';
import { parseRefreshToken } from './refresh-token';

export function createSessionRoutes({ service }: { service: OwnSessions }): Route[] {
  return [
    route(sessionEndpoints.logout, async ({ query }, req) => {
      const { scope = 'local' } = query;
      if (scope !== 'local') refuseImpersonator(principalOf(req));
      await service.logout(currentSession(req), scope, clientOf(req));
      return { status: 204, headers: isEnded(req, scope) ? NO_REFRESH_COOKIE : {} };
    }),
    route(sessionEndpoints.list, async (_input, req) => ({
      status: 200,
      headers: NO_STORE,
      body: { data: await service.sessions(currentSession(req)) },
    })),
    route(sessionEndpoints.remove, async ({ params }, req) => {
      await service.endSession(currentSession(req), params.id, clientOf(req));
      return { status: 204 };
    }),
  ];
}

/**
 * Whether the session of the cookie has ended, which need not be that of the access token. An
 * administrator who acts as a user keeps its own.
 */
function isEnded(req: Request, scope: string): boolean {
  const { sessionId, impersonator } = principalOf(req);
  const cookie = readRefreshCookie(req);
  if (cookie === undefined || scope === 'others' || impersonator !== undefined) return false;
  return scope === 'global' || parseRefreshToken(cookie)?.sid === sessionId;
}

export function currentSession(req: Request): CurrentSession {
  const { userId, sessionId, sessionVersion } = principalOf(req);
  const { cookieHash } = req.context;
  return { userId, sid: sessionId, ver: sessionVersion, ...(cookieHash && { cookieHash }) };
}
