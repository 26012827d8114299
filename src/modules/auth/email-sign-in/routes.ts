import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import { signInReply } from '../sign-in/reply';
import { emailSignInEndpoints } from './contract';
import type { EmailSignIn } from './email-sign-in';

export interface EmailSignInRoutesDependencies {
  readonly emailSignIn: EmailSignIn;
  readonly signInAnswer: z.ZodType;
  readonly limiter: RequestHandler;
}

export function createEmailSignInRoutes(deps: EmailSignInRoutesDependencies): Route[] {
  const { emailSignIn, limiter } = deps;
  const endpoints = emailSignInEndpoints(deps.signInAnswer);
  return [
    route(
      endpoints.request,
      async ({ body }, req) => {
        const { token, expiresInSeconds } = await emailSignIn.request(body.email, clientOf(req));
        const answer = { sign_in_token: token, expires_in: expiresInSeconds };
        return { status: 202, headers: NO_STORE, body: answer };
      },
      limiter,
    ),
    route(
      endpoints.verify,
      async ({ body: { sign_in_token: token, code } }, req) =>
        signInReply(await emailSignIn.verify(token, code, clientOf(req))),
      limiter,
    ),
  ];
}
