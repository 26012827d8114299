import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { conditionalReply } from '../http/conditional';
import { principalOf, type Reply, type Route, route } from '../http/endpoint';
import { userOf } from './authenticate';
import { authEndpoints } from './contract';
import type { AuthService, SignedIn } from './service';

export interface AuthRoutesDependencies {
  readonly service: AuthService;
  readonly newPassword: z.ZodType<string>;
  /** Stricter than the general limit: these routes take guesses at credentials. */
  readonly limiter: RequestHandler;
}

export function createAuthRoutes({ service, newPassword, limiter }: AuthRoutesDependencies): Route[] {
  const endpoints = authEndpoints(newPassword);
  return [
    route(
      endpoints.register,
      async ({ body }) => {
        const signedIn = await service.register(body);
        return tokenReply(201, signedIn, { Location: `/api/users/${signedIn.user.id}` });
      },
      limiter,
    ),
    route(endpoints.login, async ({ body }) => tokenReply(200, await service.login(body)), limiter),
    route(endpoints.profile, (_input, req) => conditionalReply(req, userOf(req))),
    route(
      endpoints.changePassword,
      async ({ body }, req) => {
        await service.changePassword(principalOf(req).userId, { current: body.current_password, next: body.new_password });
        return { status: 204 };
      },
      limiter,
    ),
  ];
}

/** RFC 6749 §5.1: tokens are never stored by anything on the way. */
function tokenReply(
  status: number,
  { user, accessToken, expiresInSeconds, refreshToken }: SignedIn,
  headers: Record<string, string> = {},
): Reply {
  return {
    status,
    headers: { 'Cache-Control': 'no-store', ...headers },
    body: {
      user: JSON.parse(user.body.toString('utf8')) as unknown,
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: expiresInSeconds,
      refresh_token: refreshToken,
    },
  };
}
