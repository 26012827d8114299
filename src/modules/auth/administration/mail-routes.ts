import type { Request, RequestHandler } from 'express';
import { problems } from '../../../kernel/errors';
import { assertMayActOn } from '../../../kernel/permission-refusals';
import type { Policy } from '../../../kernel/permissions';
import { clientOf } from '../../../platform/http/client-info';
import { type Route, route } from '../../../platform/http/endpoint';
import type { Cause } from '../../domain-events';
import { principalOf } from '../principal';
import { noSuchUser } from '../problems';
import type { MailFlows } from '../recovery/mail-flows';
import type { Credentials, UsersPort } from '../users-port';
import { mailAdministrationEndpoints as endpoints } from './mail-contract';

export interface MailAdministrationDependencies {
  readonly users: Pick<UsersPort, 'credentialsById'>;
  readonly mails: Pick<MailFlows, 'invite' | 'sendReset'>;
  readonly policy: Policy;
  readonly limiter: RequestHandler;
}

/** Mails that administrators send to users. */
export function createMailAdministrationRoutes({
  users,
  mails,
  policy,
  limiter,
}: MailAdministrationDependencies): Route[] {
  /** The account that the mail goes to. */
  async function targetOf(req: Request, id: string): Promise<Credentials> {
    const found = await users.credentialsById(id);
    if (found === null) throw noSuchUser();
    assertMayActOn(policy, principalOf(req), id, found.role);
    if (found.status !== 'active')
      throw problems.conflict('account_banned', 'The account is banned.');
    return found;
  }

  const causeOf = (req: Request): Cause => ({
    actor: principalOf(req).userId,
    client: clientOf(req),
  });

  return [
    route(
      endpoints.invite,
      async ({ params }, req) => {
        await mails.invite(await targetOf(req, params.id), causeOf(req));
        return { status: 202 };
      },
      limiter,
    ),
    route(
      endpoints.sendReset,
      async ({ params }, req) => {
        await mails.sendReset(await targetOf(req, params.id), causeOf(req));
        return { status: 202 };
      },
      limiter,
    ),
  ];
}
