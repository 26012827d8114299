import type { Request } from 'express';
import { clientOf } from '../../platform/http/client-info';
import type { Representation } from '../../platform/http/conditional';
import type { Reply } from '../../platform/http/endpoint';
import type { Actor } from './actor';
import { type CachedUser, withPrivateMembers } from './cached';
import { readsPrivate } from './rules';
import { revisionTagOf } from './view';

/** The authenticated sender of a request. */
export interface Requester extends Actor {
  readonly isService: boolean;
  /** The signed-in user; undefined where a service account sent the request. */
  readonly account?: CachedUser;
}

export type RequesterOf = (req: Request) => Requester;

/** With the client, for the events of a write. */
export const actorOf = ({ userId, permissions, isService }: Requester, req: Request): Actor => ({
  userId,
  permissions,
  isService,
  client: clientOf(req),
});

/** `users:write` alone reads nobody: not in the answers to its writes either. */
export const mayRead = ({ userId, permissions }: Requester, id: string): boolean =>
  id === userId || permissions.has('users:read');

/** The user as this requester may see it. */
export const shownTo = (requester: Requester, user: CachedUser): Representation =>
  readsPrivate(requester, user.id) ? withPrivateMembers(user) : user;

export function changed(requester: Requester, user: CachedUser): Reply {
  const { etag, body } = shownTo(requester, user);
  return mayRead(requester, user.id)
    ? { status: 200, headers: { ETag: etag }, body }
    : { status: 204, headers: { ETag: revisionTagOf(etag) } };
}

export function created(requester: Requester, user: CachedUser): Reply {
  const { etag, body } = shownTo(requester, user);
  const isShown = mayRead(requester, user.id);
  const tag = isShown ? etag : revisionTagOf(etag);
  const headers = { ETag: tag, Location: `/api/users/${user.id}` };
  return { status: 201, headers, body: isShown ? body : { id: user.id } };
}
