import type { Request } from 'express';
import { createDeadlines, type StartDeadline } from '../../../kernel/deadline';
import { preconditionOf } from '../../../platform/http/conditional';
import { type Route, route } from '../../../platform/http/endpoint';
import type { Logger } from '../../../platform/telemetry/logger';
import type { Actor } from '../actor';
import { actorOf, changed, type RequesterOf } from '../requester';
import { ownAccount } from '../rules';
import type { UserService } from '../service';
import type { Ban } from './account-administration';
import { BULK_TIMEOUT_MS, eachWithin } from './bulk';
import { userAdministrationEndpoints as endpoints } from './contract';

export interface UserAdministrationRoutesDependencies {
  readonly service: UserService;
  readonly requesterOf: RequesterOf;
  /** Throws 401 unless the login of a user was recent (RFC 9470): a stolen token is not enough. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly startDeadline: StartDeadline;
  readonly log: Logger;
}

/** The first two must come before routes of `/api/users/:id`, which has other methods. */
export function createUserAdministrationRoutes(
  deps: UserAdministrationRoutesDependencies,
): Route[] {
  const { service, requesterOf, assertRecentLogin, startDeadline, log } = deps;
  const startBulk = createDeadlines(BULK_TIMEOUT_MS);
  return [
    route(endpoints.removeMany, async ({ body: { ids } }, req) => {
      const actor = await administrator(req);
      const remove = async (id: string) => {
        if (id === actor.userId) throw ownAccount();
        await service.remove(actor, id, undefined);
      };
      return { status: 200, body: { data: await eachWithin(ids, startBulk(), log, remove) } };
    }),
    route(endpoints.banMany, async ({ body: { ids, ...ban } }, req) => {
      const actor = await administrator(req);
      const banOne = (id: string) => service.ban(actor, id, banOf(ban));
      return { status: 200, body: { data: await eachWithin(ids, startBulk(), log, banOne) } };
    }),
    route(endpoints.ban, async ({ params: { id }, body }, req) =>
      changed(
        requesterOf(req),
        await service.ban(await administrator(req), id, banOf(body), optionsOf(req, id)),
      ),
    ),
    route(endpoints.unban, async ({ params: { id } }, req) =>
      changed(
        requesterOf(req),
        await service.unban(await administrator(req), id, optionsOf(req, id)),
      ),
    ),
    route(endpoints.requirePasswordChange, async ({ params: { id }, body }, req) => {
      const endSessions = body.end_sessions ?? true;
      const options = { ...optionsOf(req, id), endSessions };
      const user = await service.requirePasswordChange(await administrator(req), id, options);
      return changed(requesterOf(req), user);
    }),
  ];

  /** A stolen access token must not shut others out. */
  async function administrator(req: Request): Promise<Actor> {
    await assertRecentLogin(req);
    return actorOf(requesterOf(req), req);
  }

  function optionsOf(req: Request, id: string) {
    return { check: preconditionOf(req, id), within: startDeadline() };
  }
}

const banOf = ({
  until,
  reason,
}: {
  readonly until?: string | null | undefined;
  readonly reason?: string | null | undefined;
}): Ban => ({
  until: typeof until === 'string' ? new Date(until) : undefined,
  reason: reason ?? undefined,
});
