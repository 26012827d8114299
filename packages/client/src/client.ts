import { type Auth, createAuth } from './auth.js';
import { type Call, type Caller, createCaller } from './call.js';
import { createEtagCache } from './etag-cache.js';
import { createLock } from './lock.js';
import { assertOptions, type ClientOptions } from './options.js';
import { createRetryBudget } from './retry.js';
import { createSession } from './session.js';
import { connectTabs, createMemoryStorage } from './tabs.js';
import { createFreshness } from './tokens.js';
import { createSend } from './transport.js';
import type {
  Answer,
  CallArguments,
  CallOptions,
  ListedUser,
  Method,
  PathOf,
  paths,
  Query,
  User,
} from './types.js';
import { type UserChange, updateUser } from './users.js';

type PagedPath = {
  [P in PathOf<'GET'>]: Answer<'GET', P> extends { data: unknown[]; next_cursor: string | null }
    ? P
    : never;
}[PathOf<'GET'>];
type Item<P extends PagedPath> = Answer<'GET', P> extends { data: (infer T)[] } ? T : never;

export interface Client {
  /** Any operation of the service, by method and path of its document. */
  request<M extends Method, P extends PathOf<M>>(
    method: M,
    path: P,
    ...input: CallArguments<M, P>
  ): Promise<Answer<M, P>>;
  /** All items of a list; pages are read as they are needed. */
  paginate<P extends PagedPath>(
    path: P,
    query?: Query<'GET', P>,
    options?: CallOptions,
  ): AsyncIterableIterator<Item<P>>;
  readonly auth: Auth;
  readonly users: Users;
  /** Ends the connection to other tabs. */
  close(): void;
}

export interface Users {
  get(id: string, options?: CallOptions): Promise<User>;
  list(
    query?: Query<'GET', '/api/users'>,
    options?: CallOptions,
  ): AsyncIterableIterator<ListedUser>;
  update(id: string, change: UserChange, options?: CallOptions): Promise<User>;
  remove(id: string, options?: CallOptions): Promise<void>;
}

function createUsers(client: Pick<Client, 'request' | 'paginate'>, caller: Caller): Users {
  const template = '/api/users/{id}';
  return {
    get: (id, options) => client.request('GET', template, { ...options, path: { id } }),
    list: (query, options) => client.paginate('/api/users', query, options),
    update: (id, change, options = {}) =>
      caller.within(options, (deadline) => updateUser(caller, deadline, id, change, options)),
    async remove(id, options) {
      await client.request('DELETE', template, { ...options, path: { id } });
    },
  };
}

/** Throws a TypeError for an unknown option or a value that means nothing. */
export function createClient(options: ClientOptions): Client {
  assertOptions(options);
  const { mode = 'token', timeoutMs = 30_000, storageKey: key = 'clustered-auth' } = options;
  const baseUrl = options.baseUrl.replace(/\/+$/, '');
  const storage = options.storage ?? createMemoryStorage();
  const isShared = mode === 'cookie' || options.storage !== undefined;
  const freshness = createFreshness();
  const cache = createEtagCache(options.cachedAnswers ?? 100);
  const send = createSend({
    // Browsers refuse a `fetch` that is called as a method of another object.
    fetch: options.fetch ?? ((...input) => globalThis.fetch(...input)),
    budget: createRetryBudget(options.retryBudget),
    attemptTimeoutMs: options.attemptTimeoutMs ?? 10_000,
    credentials: mode === 'cookie' ? 'include' : 'omit',
    seen: freshness.seen,
  });
  const tabs = connectTabs(key, isShared, (token) => {
    // A storage that cannot be read now is read again by the next call.
    session.heard(token).catch(() => undefined);
  });
  const session = createSession({
    ...{ mode, key, storage, send, freshness, url: `${baseUrl}/api/auth/refresh` },
    lock: createLock(key, isShared, mode === 'token' ? storage : undefined),
    publish: tabs.publish,
    changed(userId) {
      cache.clear();
      try {
        options.onUserChange?.(userId);
      } catch (error) {
        // The session has changed, even where the page's handler fails.
        console.error(error);
      }
    },
  });
  const caller = createCaller({ baseUrl, mode, send, session, cache, timeoutMs });

  const request = async <T>(method: Method, template: string, input: object = {}): Promise<T> => {
    const call: Call = { ...input, method, template };
    const result = await caller.within(call, (deadline) => caller.run(call, deadline));
    return result.body as T;
  };

  async function* paginate<P extends PagedPath>(
    path: P,
    query?: Query<'GET', P>,
    callOptions?: CallOptions,
  ): AsyncIterableIterator<Item<P>> {
    let cursor: string | null | undefined;
    do {
      const page = await request<{ data: Item<P>[]; next_cursor: string | null }>('GET', path, {
        ...callOptions,
        query: { ...(query as object | undefined), ...(cursor ? { cursor } : {}) },
      });
      yield* page.data;
      cursor = page.next_cursor;
    } while (cursor);
  }

  const generic = {
    request: <M extends Method, P extends PathOf<M>>(
      method: M,
      path: P,
      ...[input]: CallArguments<M, P>
    ) => request<Answer<M, P>>(method, path as string & keyof paths, input),
    paginate,
  };
  return {
    ...generic,
    auth: createAuth(caller, session),
    users: createUsers(generic, caller),
    close: () => tabs.close(),
  };
}
