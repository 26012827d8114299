import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import { principalOf } from '../principal';
import { currentSession } from '../sessions/routes';
import type { AuthService } from '../sign-in/service';
import { mailEndpoints } from './contract';
import type { MailFlows } from './mail-flows';

export interface MailRoutesDependencies {
  readonly mails: MailFlows;
  readonly service: AuthService;
  readonly newPassword: z.ZodType<string>;
  readonly limiter: RequestHandler;
}

export function createMailRoutes({
  mails,
  service,
  newPassword,
  limiter,
}: MailRoutesDependencies): Route[] {
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
      endpoints.acceptInvitation,
      async ({ body }, req) => {
        await mails.acceptInvitation(body.token, body.password, clientOf(req));
        return { status: 204 };
      },
      limiter,
    ),
    route(
      endpoints.requestVerification,
      (_input, req) => {
        mails.requestVerification(principalOf(req).userId, clientOf(req));
        return accepted;
      },
      limiter,
    ),
    route(
      endpoints.change,
      async ({ body }, req) => {
        const client = clientOf(req);
        const account = await service.confirmPassword(
          currentSession(req),
          body.current_password,
          'email_change_request',
          client,
        );
        mails.requestEmailChange(account, body.new_email, client);
        return accepted;
      },
      limiter,
    ),
    route(
      endpoints.confirm,
      async ({ body }, req) => {
        const client = clientOf(req);
        const grant = await mails.openConfirmation(body.token);
        const purpose = grant.purpose === 'verify-email' ? 'email_verification' : 'email_change';
        await mails.confirmEmail(
          grant,
          await service.confirmPassword(grant, body.current_password, purpose, client),
          client,
        );
        return { status: 204 };
      },
      limiter,
    ),
  ];
}
