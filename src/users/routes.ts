import type { Request } from 'express';
import type { z } from 'zod';
import { problems } from '../errors';
import { conditionalReply, ifMatchRevs } from '../http/conditional';
import { principalOf, type Reply, type Route, route } from '../http/endpoint';
import type { CachedUser } from './cached';
import { userEndpoints } from './contract';
import type { ListParameters, Page, UserList } from './list';
import type { Changes } from './repository';
import { mayTouch, type UserService } from './service';
import type { UserView } from './view';

export interface UserRoutesDependencies {
  readonly service: UserService;
  readonly list: UserList;
  readonly newPassword: z.ZodType<string>;
  readonly hashPassword: (password: string) => Promise<string>;
  /** Rejects when the request's login is too long ago for a change of what the account is recovered by. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  /** Told of what an audit wants to know, after it was done. */
  readonly record: (event: AccountEvent, subject: string, req: Request, leftEmail?: string) => void;
}

export type AccountEvent = 'account_created' | 'role_set' | 'email_changed' | 'account_removed';

export function createUserRoutes({ service, list, newPassword, hashPassword, assertRecentLogin, record }: UserRoutesDependencies): Route[] {
  const endpoints = userEndpoints(newPassword);
  return [
    route(endpoints.list, async ({ query }) => pageReply(await list.page(query), query)),
    route(endpoints.create, async ({ body: { password, role = 'user', ...rest } }, req) => {
      mayTouch(principalOf(req), role === 'admin');
      const user = await service.create({ ...rest, role, passwordHash: await hashPassword(password) });
      record('account_created', user.id, req);
      return created(user);
    }),
    route(endpoints.get, ({ params }, req) => {
      const user = read(req, ownOrAdmin(req, params.id));
      return user instanceof Promise ? user.then((late) => conditionalReply(req, late)) : conditionalReply(req, user);
    }),
    route(endpoints.replace, async ({ params, body }, req) => changed(await change(req, params.id, body))),
    route(endpoints.patch, async ({ params, body }, req) => changed(await change(req, params.id, body))),
    route(endpoints.remove, async ({ params }, req) => {
      const id = ownOrAdmin(req, params.id);
      await service.remove(principalOf(req), id, ifMatchRevs(req, id));
      record('account_removed', id, req);
      return { status: 204 };
    }),
  ];

  /** Without a promise where the user is at hand: oneself was read by this very request, to authenticate it. */
  function read(req: Request, id: string): CachedUser | Promise<CachedUser> {
    return req.account?.id === id ? req.account : (service.near(id) ?? service.get(id));
  }

  async function change(
    req: Request,
    id: string,
    { name, email, role }: { [K in keyof Changes]?: Changes[K] | undefined },
  ): Promise<CachedUser> {
    const changes: Changes = {
      ...(name === undefined ? {} : { name }),
      ...(email === undefined ? {} : { email }),
      ...(role === undefined ? {} : { role }),
    };
    const target = ownOrAdmin(req, id);
    // A stolen access token must not move the account to another mailbox, and so to another password.
    if (email !== undefined && target === req.account?.id && email !== emailOf(req.account)) await assertRecentLogin(req);
    const { user, leftEmail } = await service.change(principalOf(req), target, changes, ifMatchRevs(req, target));
    if (role !== undefined) record('role_set', target, req);
    if (leftEmail !== undefined) record('email_changed', target, req, leftEmail);
    return user;
  }
}

const emailOf = ({ body }: CachedUser): string => (JSON.parse(body.toString('utf8')) as UserView).email;

/** Which user `:id` means, if this principal may touch it. Others get 403 whether or not there is such a user. */
function ownOrAdmin(req: Request, id: string): string {
  const { userId, role } = principalOf(req);
  const target = id === 'me' ? userId : id;
  if (target !== userId && role !== 'admin') throw problems.forbidden('Only the user and administrators may do this.');
  return target;
}

const changed = ({ etag, body }: CachedUser): Reply => ({ status: 200, headers: { ETag: etag }, body });

const created = ({ id, etag, body }: CachedUser): Reply => ({ status: 201, headers: { ETag: etag, Location: `/api/users/${id}` }, body });

function pageReply({ body, nextCursor }: Page, parameters: ListParameters): Reply {
  const headers = { 'Cache-Control': 'private, no-cache' };
  if (nextCursor === null) return { status: 200, headers, body };
  const next = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) next.set(name, String(value));
  next.set('cursor', nextCursor);
  return { status: 200, headers: { ...headers, Link: `</api/users?${next}>; rel="next"` }, body };
}
