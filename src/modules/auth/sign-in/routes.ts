import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { clientOf } from '../../../platform/http/client-info';
import { conditionalReply } from '../../../platform/http/conditional';
import { type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { userOf } from '../authenticate';
import type { Refresh } from '../browser/refresh-by-cookie';
import { currentSession } from '../sessions/routes';
import { headersOfPair } from '../sessions/token-pair';
import type { UsersPort } from '../users-port';
import { authEndpoints } from './contract';
import { signInReply } from './reply';
import type { AuthService } from './service';

export interface AuthRoutesDependencies {
  readonly service: AuthService;
  readonly refresh: Refresh;
  readonly newPassword: z.ZodType<string>;
  readonly users: Pick<UsersPort, 'view' | 'userMetadata'>;
  /** Stricter than the general limit, because credentials can be guessed here. */
  readonly limiter: RequestHandler;
}

export function createAuthRoutes({
  service,
  refresh,
  newPassword,
  users,
  limiter,
}: AuthRoutesDependencies): Route[] {
  const endpoints = authEndpoints(newPassword, users);
  return [
    route(endpoints.profile, (_input, req) => conditionalReply(req, userOf(req))),
    route(
      endpoints.register,
      async ({ body }, req) => {
        const { user_metadata: userMetadata, ...account } = body;
        const { newId } = req.context;
        const given = newId === undefined ? {} : { id: newId };
        const { user, result } = await service.register(
          { ...given, ...account, userMetadata },
          clientOf(req),
        );
        return signInReply(result, {
          status: 201,
          headers: { Location: `/api/users/${user.id}` },
        });
      },
      limiter,
    ),
    route(
      endpoints.login,
      async ({ body }, req) => signInReply(await service.login(body, clientOf(req))),
      limiter,
    ),
    route(
      endpoints.replaceRequiredPassword,
      async ({ body: { token, new_password: password } }, req) =>
        signInReply(await service.replaceRequiredPassword(token, password, clientOf(req))),
      limiter,
    ),
    // Only the general limit applies: 256 random bits cannot be guessed, and many users may share
    // an address.
    route(endpoints.refresh, ({ body }, req) => refresh(body.refresh_token, req)),
    route(
      endpoints.changePassword,
      async ({ body }, req) => {
        const passwords = { current: body.current_password, next: body.new_password };
        const pair = await service.changePassword(currentSession(req), passwords, clientOf(req));
        return { status: 200, headers: { ...NO_STORE, ...headersOfPair(pair) }, body: pair };
      },
      limiter,
    ),
  ];
}
