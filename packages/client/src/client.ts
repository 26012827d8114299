import { type Auth, createAuth } from './auth.js';
import { type Call, type Caller, createCaller } from './call.js';
import { createEtagCache } from './etag-cache.js';
import { createLock } from './lock.js';
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
  TokenStorage,
  User,
} from './types.js';
import { type UserChange, updateUser } from './users.js';

export interface ClientOptions {
  readonly baseUrl: string;
  /**
   * Where the refresh token is: `cookie`: in a cookie that no script reads (a page of the same site
   * as the service, in BROWSER_ORIGINS); `token` (the default): in `storage`.
   */
  readonly mode?: 'token' | 'cookie';
  /** Of mode `token`; shared by tabs, e.g. `localStorage`. Default: memory. */
  readonly storage?: TokenStorage;
  /** Clients with the same key share a session. */
  readonly storageKey?: string;
  readonly fetch?: typeof fetch;
  /** Of each call with its retries. Default 30 s. */
  readonly timeoutMs?: number;
  /** Of each attempt. Default 10 s. */
  readonly attemptTimeoutMs?: number;
  /** How many GET answers are kept for If-None-Match. Default 100; 0: none. */
  readonly cachedAnswers?: number;
  /** How many retries may be made at once beyond three for ten successful calls. Default 100. */
  readonly retryBudget?: number;
  /** Called when another user is signed in, here or in another tab; undefined: nobody. */
  readonly onUserChange?: (userId: string | undefined) => void;
}

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

export function createClient(options: ClientOptions): Client {
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
        // The session has changed, whatever the page makes of it.
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
