import type { Request } from 'express';
import { problems } from '../../../kernel/errors';
import { holdsAll, type Policy } from '../../../kernel/permissions';
import { clientOf } from '../../../platform/http/client-info';
import { type MayStill, type Route, route } from '../../../platform/http/endpoint';
import { NO_STORE } from '../../../platform/http/no-store';
import type { ActorCause } from '../../domain-events';
import { principalOf } from '../principal';
import { invalidToken } from '../problems';
import type { UsersPort } from '../users-port';
import { serviceAccountEndpoints as endpoints, MANAGE_PERMISSION } from './contract';
import type { ServiceAccounts } from './service-accounts';
import { createServiceAccountView } from './view';

export interface ServiceAccountRoutesDependencies {
  readonly services: ServiceAccounts;
  readonly users: UsersPort;
  readonly policy: Policy;
  /** Throws 401 unless the login was recent (RFC 9470). */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly mayStill: MayStill;
}

export function createServiceAccountRoutes({
  services,
  users,
  policy,
  assertRecentLogin,
  mayStill,
}: ServiceAccountRoutesDependencies): Route[] {
  const viewOf = createServiceAccountView(users, policy);
  const causeOf = (req: Request): ActorCause => ({
    actor: principalOf(req).userId,
    client: clientOf(req),
  });

  return [
    route(endpoints.create, async ({ body }, req) => {
      if (!holdsAll(principalOf(req).permissions, body.scopes)) throw exceedsPermissions();
      // Its secret outlives the session: a stolen access token must not get one.
      await assertRecentLogin(req);
      const { account, secret } = await services.create(
        { name: body.name, scopes: [...new Set(body.scopes)] },
        causeOf(req),
      );
      // A session that has ended meanwhile, by a logout or a new role, leaves none.
      if (!(await mayStill(req, MANAGE_PERMISSION))) {
        await services.revoke(account.id, causeOf(req));
        throw invalidToken();
      }
      const headers = { ...NO_STORE, Location: `/api/service-accounts/${account.id}` };
      const view = { ...(await viewOf(account)), client_secret: secret };
      return { status: 201, headers, body: view };
    }),
    route(endpoints.list, async () => {
      const data = await Promise.all((await services.list()).map(viewOf));
      return { status: 200, headers: NO_STORE, body: { data } };
    }),
    route(endpoints.remove, async ({ params: { id } }, req) => {
      await services.revoke(id, causeOf(req));
      return { status: 204 };
    }),
  ];
}

const exceedsPermissions = () =>
  problems.forbidden(
    'A service account gets no scope that its creator lacks.',
    'exceeds_permissions',
  );
