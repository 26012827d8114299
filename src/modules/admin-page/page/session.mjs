import { createClient, isProblem } from '@clustered-auth/client';

/** The service is where this page is, with whatever path a proxy puts before it. */
export const baseUrl = new URL('.', location.href).href.replace(/\/$/, '');

const etags = new Map();
const ETAGS_MAX = 100;
let lastAuthorization;

/** Keeps the entity tags of users: a change names the revision that the form was made from. */
async function watchedFetch(url, init) {
  lastAuthorization = new Headers(init.headers).get('authorization') ?? lastAuthorization;
  const answer = await fetch(url, init);
  const etag = answer.headers.get('etag');
  if (etag !== null) {
    etags.delete(url);
    etags.set(url, etag);
    if (etags.size > ETAGS_MAX) etags.delete(etags.keys().next().value);
  }
  return answer;
}

/**
 * The signed-in person. The tokens are in the memory of this page alone: a reload signs out
 * (docs/adr/0048-administration-page.md).
 */
export function createAdminSession(facts) {
  let user;
  const listeners = new Set();
  const client = createClient({
    baseUrl,
    fetch: watchedFetch,
    onUserChange(id) {
      if (id !== undefined || user === undefined) return;
      user = undefined;
      for (const heard of listeners) heard();
    },
  });
  const permissionsOf = (role) => facts.roles[role];
  const can = (permission) => permissionsOf(user?.role)?.includes(permission) === true;
  /** Nobody gets by another account what it lacks (docs/permissions.md). */
  const covers = (role) => (permissionsOf(role) ?? facts.permissions).every(can);
  let identify;

  return {
    client,
    facts,
    get user() {
      return user;
    },
    opened(next) {
      user = next;
    },
    onEnd: (heard) => listeners.add(heard),
    can,
    isOwn: ({ id }) => id === user.id,
    mayActOn: ({ id, role }) => id === user.id || covers(role),
    assignable: () =>
      can('roles:assign') ? Object.keys(facts.roles).filter((role) => covers(role)) : [],
    etagOf: (id) => etags.get(`${baseUrl}/api/users/${id}`),
    /** The ways in which the person can sign in again. */
    identifyBy(ask) {
      identify = ask;
    },
    /** Does `work`; asks to sign in again where the service wants a recent login for it. */
    async act(work) {
      try {
        return await work();
      } catch (error) {
        if (!isProblem(error, 'insufficient_user_authentication')) throw error;
        await identify();
        return work();
      }
    },
    async signOut() {
      user = undefined;
      await client.auth.logout({ timeoutMs: 5000 });
    },
    end,
    /** Keeps a token by which the session can end when the page goes away, which does not wait. */
    async renew() {
      const token = await client.auth.accessToken().catch(() => undefined);
      if (token !== undefined && user !== undefined) lastAuthorization = `Bearer ${token}`;
    },
    /** The page goes away, and its tokens with it: the session ends. */
    close() {
      if (user !== undefined && lastAuthorization !== undefined) void end(lastAuthorization);
    },
  };
}

/** `keepalive`: also when the page goes away meanwhile. */
async function end(authorization) {
  const init = { method: 'POST', headers: { authorization }, keepalive: true };
  await fetch(`${baseUrl}/api/auth/logout`, init).catch(() => {});
}
