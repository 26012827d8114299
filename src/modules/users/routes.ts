import type { Request } from 'express';
import type { StartDeadline } from '../../kernel/deadline';
import { Problem, problems } from '../../kernel/errors';
import { assertMayAssign } from '../../kernel/permission-refusals';
import { type Policy, USER } from '../../kernel/permissions';
import { clientOf } from '../../platform/http/client-info';
import { conditionalReply, notModified, preconditionOf } from '../../platform/http/conditional';
import { type Reply, type Route, route } from '../../platform/http/endpoint';
import { forRequest } from '../../platform/telemetry/request-work';
import type { CachedUser } from './cached';
import type { Changes } from './changes';
import { userEndpoints } from './contract';
import type { InvitationsPort } from './invitations-port';
import { metadataChanges, type WantedMetadata } from './metadata/changes';
import type { IndexedPath } from './metadata/indexed';
import type { PasswordsPort } from './passwords-port';
import type { Check } from './proof';
import { assertUnchanged, type Stated } from './read-only';
import {
  actorOf,
  changed,
  created,
  mayRead,
  type Requester,
  type RequesterOf,
  shownTo,
} from './requester';
import { emailNeedsProof, readsPrivate } from './rules';
import type { UserList } from './search/list';
import type { Page } from './search/page';
import type { UserService } from './service';
import type { Snapshot } from './snapshot';

export interface UserRoutesDependencies {
  readonly service: UserService;
  readonly list: UserList;
  readonly passwords: PasswordsPort;
  readonly invitations: InvitationsPort;
  readonly policy: Policy;
  readonly requesterOf: RequesterOf;
  /** Throws 401 unless the login of a user was recent (RFC 9470): a stolen token is not enough. */
  readonly assertRecentLogin: (req: Request) => Promise<void>;
  readonly startDeadline: StartDeadline;
  readonly indexed: readonly IndexedPath[];
}

export function createUserRoutes(deps: UserRoutesDependencies): Route[] {
  const { service, list, passwords, invitations, policy, indexed } = deps;
  const { requesterOf, assertRecentLogin, startDeadline } = deps;
  const endpoints = userEndpoints(passwords, policy, indexed);
  return [
    route(endpoints.list, async ({ query }, req) => pageReply(req, await list.page(query))),
    route(endpoints.create, async ({ body }, req) => {
      const { password, role = USER, send_invitation: isInvited = false, ...rest } = body;
      if (role !== USER) {
        assertMayAssign(policy, requesterOf(req), role);
        await assertRecentLogin(req);
      }
      if (isInvited) assertMayInvite(requesterOf(req));
      const { members, account } = split(rest);
      const write = {
        actor: actorOf(requesterOf(req), req),
        id: undefined,
        how: 'replace',
        indexed,
      } as const;
      const metadata = metadataChanges({}, members, write);
      const passwordHash = password === undefined ? passwords.none : await passwords.hash(password);
      const cause = { actor: requesterOf(req).userId, client: clientOf(req) };
      const { newId } = req.context;
      const given = newId === undefined ? {} : { id: newId };
      const user = await service.create(
        { ...account, ...given, role, passwordHash, metadata },
        cause,
      );
      if (isInvited) invitations.inviteLater(user.id, cause);
      return created(requesterOf(req), user);
    }),
    route(endpoints.get, ({ params }, req) => {
      const requester = requesterOf(req);
      const user = read(req, targetOf(req, params.id));
      return user instanceof Promise
        ? user.then((late) => conditionalReply(req, shownTo(requester, late)))
        : conditionalReply(req, shownTo(requester, user));
    }),
    route(endpoints.replace, async ({ params, body }, req) =>
      changed(requesterOf(req), await change(req, params.id, body, 'replace')),
    ),
    route(endpoints.patch, async ({ params, body }, req) =>
      changed(requesterOf(req), await change(req, params.id, body, 'merge')),
    ),
    route(endpoints.remove, async ({ params }, req) => {
      const id = targetOf(req, params.id);
      // A removal cannot be undone: a stolen access token must not remove an account.
      await assertRecentLogin(req);
      await service.remove(
        actorOf(requesterOf(req), req),
        id,
        preconditionOf(req, id),
        startDeadline(),
      );
      return { status: 204 };
    }),
  ];

  function assertMayInvite({ permissions }: Requester): void {
    if (!permissions.has('users:send_mail'))
      throw problems.forbidden('An invitation needs the permission users:send_mail.');
    invitations.assertMailConfigured();
  }

  /** Which user `:id` means. The guards have found that the requester may use the endpoint. */
  function targetOf(req: Request, id: string): string {
    return id === 'me' ? requesterOf(req).userId : id;
  }

  /**
   * Without a promise where the user is at hand: oneself was read by this very request, to
   * authenticate it.
   */
  function read(req: Request, id: string): CachedUser | Promise<CachedUser> {
    const own = requesterOf(req).account;
    return own?.id === id
      ? own
      : (service.near(id) ?? forRequest(req.context, () => service.get(id)));
  }

  /**
   * The refusal of a change that a stolen access token with permissions must not make: of a role,
   * or of another user's address and thereby of the password.
   */
  async function oldLogin(req: Request): Promise<Problem | undefined> {
    if (requesterOf(req).permissions.size === 0) return undefined;
    try {
      await assertRecentLogin(req);
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  }

  async function change(
    req: Request,
    id: string,
    { name, email, role, ...rest }: ChangeBody,
    how: 'merge' | 'replace',
  ): Promise<CachedUser> {
    const { members, account: stated } = split(rest);
    const within = startDeadline();
    const changes: Changes = {
      ...(name === undefined ? {} : { name }),
      ...(email === undefined ? {} : { email }),
      ...(role === undefined ? {} : { role }),
    };
    const target = targetOf(req, id);
    const precondition = preconditionOf(req, target);
    const isSeen = mayRead(requesterOf(req), target);
    const isPrivateSeen = readsPrivate(requesterOf(req), target);
    const check: Check = (rev, { view, hidden }) => {
      precondition?.(rev);
      const seen = isPrivateSeen ? { ...view, ...hidden } : view;
      assertUnchanged(stated, isSeen ? seen : undefined);
    };
    const ifRoleChanges =
      email === undefined && role === undefined ? undefined : await oldLogin(req);
    // One's own address changes only by proof from the new mailbox.
    const ifEmailChanges =
      target === requesterOf(req).account?.id ? emailNeedsProof() : ifRoleChanges;
    const actor = actorOf(requesterOf(req), req);
    const derive = (seen: Snapshot) =>
      metadataChanges(seen, members, { actor, id: target, how, indexed });
    const options = { check, within, derive, ifEmailChanges, ifRoleChanges };
    return service.change(actor, target, changes, options);
  }
}

type ChangeBody = { readonly [K in 'name' | 'email' | 'role']?: Changes[K] | undefined } & Stated &
  WantedMetadata;

/** The members of a body that go by the rules of metadata, and the others. */
function split<T extends WantedMetadata>(body: T) {
  const { external_id, user_metadata, app_metadata, private_metadata, ...account } = body;
  return { members: { external_id, user_metadata, app_metadata, private_metadata }, account };
}

function pageReply(req: Request, { etag, body, nextCursor, prevCursor }: Page): Reply {
  const headers = { ETag: etag, 'Cache-Control': 'private, no-cache' };
  if (notModified(req, etag)) return { status: 304, headers };
  const links = [
    ...(nextCursor === null ? [] : [linkTo('next', nextCursor, req)]),
    ...(prevCursor === null ? [] : [linkTo('prev', prevCursor, req)]),
  ];
  if (links.length === 0) return { status: 200, headers, body };
  return { status: 200, headers: { ...headers, Link: links.join(', ') }, body };
}

/** The same request with another cursor. */
function linkTo(rel: 'next' | 'prev', cursor: string, req: Request): string {
  const query = new URLSearchParams(req.url.split('?')[1] ?? '');
  query.set('cursor', cursor);
  return `</api/users?${query}>; rel="${rel}"`;
}
