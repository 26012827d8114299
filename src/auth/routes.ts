import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { conditionalReply } from '../http/conditional';
import { type Reply, type Route, route } from '../http/endpoint';
import { userOf } from './authenticate';
import { clientOf } from './client';
import { authEndpoints } from './contract';
import type { AuthService, SignedIn } from './service';
import { currentSession } from './session-routes';

export interface AuthRoutesDependencies {
  readonly service: AuthService;
  readonly newPassword: z.ZodType<string>;
  /** Stricter than the general limit: these routes take guesses at credentials. */
  readonly limiter: RequestHandler;
}

export function createAuthRoutes({ service, newPassword, limiter }: AuthRoutesDependencies): Route[] {
  const endpoints = authEndpoints(newPassword);
  return [
    route(endpoints.profile, (_input, req) => conditionalReply(req, userOf(req))),
    route(
      endpoints.register,
      async ({ body }, req) => {
        const signedIn = await service.register(body, clientOf(req));
        return tokenReply(201, signedIn, { Location: `/api/users/${signedIn.user.id}` });
      },
      limiter,
    ),
    route(endpoints.login, async ({ body }, req) => tokenReply(200, await service.login(body, clientOf(req))), limiter),
    // Under the general limit alone: 256 random bits are not guessed, and a whole office may come from one address.
    route(endpoints.refresh, async ({ body }, req) => ({
      status: 200,
      headers: NO_STORE,
      body: await service.refresh(body.refresh_token, clientOf(req)),
    })),
    route(
      endpoints.changePassword,
      async ({ body }, req) => {
        await service.changePassword(currentSession(req), { current: body.current_password, next: body.new_password }, clientOf(req));
        return { status: 204 };
      },
      limiter,
    ),
  ];
}

/** RFC 6749 §5.1: tokens are never stored by anything on the way. */
const NO_STORE = { 'Cache-Control': 'no-store' } as const;

function tokenReply(status: number, { user, tokens }: SignedIn, headers: Record<string, string> = {}): Reply {
  return { status, headers: { ...NO_STORE, ...headers }, body: { user: JSON.parse(user.body.toString('utf8')) as unknown, ...tokens } };
}
