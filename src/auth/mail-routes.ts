import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { principalOf, type Route, route } from '../http/endpoint';
import { clientOf } from './client';
import { mailEndpoints } from './mail-contract';
import type { MailFlows } from './mail-flows';
import type { AuthService } from './service';
import { currentSession } from './session-routes';

export interface MailRoutesDependencies {
  readonly mails: MailFlows;
  readonly service: AuthService;
  readonly newPassword: z.ZodType<string>;
  readonly limiter: RequestHandler;
}

export function createMailRoutes({ mails, service, newPassword, limiter }: MailRoutesDependencies): Route[] {
  const endpoints = mailEndpoints(newPassword);
  const accepted = { status: 202 } as const;
  return [
    route(
      endpoints.forgot,
      ({ body }, req) => {
        mails.forgotPassword(body.email, clientOf(req));
        return accepted;
      },
      limiter,
    ),
    route(
      endpoints.reset,
      async ({ body }, req) => {
        await mails.resetPassword(body.token, body.new_password, clientOf(req));
        return { status: 204 };
      },
      limiter,
    ),
    route(
      endpoints.requestVerification,
      (_input, req) => {
        mails.requestVerification(principalOf(req).userId);
        return accepted;
      },
      limiter,
    ),
    route(
      endpoints.change,
      async ({ body }, req) => {
        const client = clientOf(req);
        const account = await service.confirmPassword(currentSession(req), body.current_password, client);
        mails.requestEmailChange(account, body.new_email, client);
        return accepted;
      },
      limiter,
    ),
    route(
      endpoints.confirm,
      async ({ body }, req) => {
        await mails.confirmEmail(body.token, clientOf(req));
        return { status: 204 };
      },
      limiter,
    ),
  ];
}
