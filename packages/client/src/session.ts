import { type Deadline, startDeadline } from './deadline.js';
import { isProblem, problemOf } from './errors.js';
import type { Lock } from './lock.js';
import { claimsOf, type Freshness, readTokens, type Tokens } from './tokens.js';
import type { Send } from './transport.js';
import type { TokenStorage } from './types.js';

/** Of one refresh with its retries; calls that wait for it may end before. */
const REFRESH_TIMEOUT_MS = 30_000;
/** A refresh may be repeated for 10 s after it was done (REFRESH_GRACE_SECONDS). */
const REFRESH_RETRY = { backoffMaxMs: 500, attemptTimeoutMs: 3000 };

export interface SessionOptions {
  readonly url: string;
  readonly mode: 'token' | 'cookie';
  readonly key: string;
  readonly storage: TokenStorage;
  readonly lock: Lock;
  readonly send: Send;
  readonly freshness: Freshness;
  /** Tells other tabs. */
  readonly publish: (token: string | undefined) => void;
  /** Called when another user, or nobody, is signed in from now on. */
  readonly changed: (userId: string | undefined) => void;
}

export interface Session {
  /** A token that is not about to expire; undefined: nobody is signed in. */
  token(deadline: Deadline): Promise<string | undefined>;
  /** After `used` was refused: another one, refreshed by this or another tab. */
  renew(used: string, deadline: Deadline): Promise<string | undefined>;
  /** Stores the tokens of an answer, before they are used. */
  adopt(tokens: Tokens): Promise<void>;
  clear(): Promise<void>;
  /** Another tab has signed in, refreshed or signed out. */
  heard(token: string | undefined): Promise<void>;
}

export function createSession(options: SessionOptions): Session {
  const { mode, key, storage, lock, send, freshness, publish, changed, url } = options;
  let current: Tokens | undefined;
  /** Cookie mode: whether there is a cookie is not known before the first refresh. */
  let isKnown = false;
  let refreshing: Promise<string | undefined> | undefined;

  function use(tokens: Tokens | undefined): void {
    const userOf = (one: Tokens | undefined) => one && claimsOf(one.access_token).sub;
    const [before, after] = [userOf(current), userOf(tokens)];
    const isFirst = !isKnown;
    [current, isKnown] = [tokens, true];
    if (before !== after || (isFirst && after === undefined)) changed(after);
  }

  /** The newest tokens: other tabs write them too. */
  async function load(): Promise<Tokens | undefined> {
    if (mode === 'token') use(readTokens(await storage.getItem(key)));
    return current;
  }

  async function save(tokens: Tokens | undefined): Promise<void> {
    if (mode === 'token') {
      if (tokens === undefined) await storage.removeItem(key);
      else {
        const { access_token, refresh_token } = tokens;
        await storage.setItem(key, JSON.stringify({ access_token, refresh_token }));
      }
    }
    use(tokens);
    publish(tokens?.access_token);
  }

  /** One refresh with its retries. Undefined: the session has ended. */
  async function exchange(sent: Tokens | undefined): Promise<Tokens | undefined> {
    const deadline = startDeadline(REFRESH_TIMEOUT_MS);
    const body = mode === 'token' ? { refresh_token: sent?.refresh_token } : {};
    const request = {
      ...{ method: 'POST', url, isRepeatable: true, body: JSON.stringify(body) },
      headers: { 'content-type': 'application/json', accept: 'application/json' },
    };
    try {
      const answer = await send(request, deadline, REFRESH_RETRY);
      const { status, text, headers } = answer;
      const tokens = status === 200 ? readTokens(text) : undefined;
      if (tokens !== undefined) return tokens;
      const problem = problemOf(status, text, headers);
      if (isProblem(problem, 'invalid_refresh_token', 'refresh_token_reused')) return undefined;
      throw problem;
    } finally {
      deadline.end();
    }
  }

  const isNewer = (tokens: Tokens | undefined, used: string | undefined): boolean =>
    tokens !== undefined &&
    tokens.access_token !== used &&
    freshness.of(tokens.access_token) === 'fresh';

  /** Under the lock: only when nobody has refreshed since `used` was read. */
  async function refreshOnce(used: string | undefined): Promise<string | undefined> {
    for (let round = 0; round < 3; round += 1) {
      const before = await load();
      if (mode === 'token' && before?.refresh_token === undefined) return undefined;
      if (isNewer(before, used)) return before?.access_token;
      const tokens = await exchange(before);
      // Without the lock, another tab may have signed in or refreshed meanwhile.
      const since = mode === 'token' ? readTokens(await storage.getItem(key)) : current;
      if (since?.refresh_token !== before?.refresh_token) continue;
      await save(tokens);
      return tokens?.access_token;
    }
    return current?.access_token;
  }

  function refresh(used: string | undefined): Promise<string | undefined> {
    refreshing ??= lock(() => refreshOnce(used)).finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  return {
    async token(deadline) {
      if (current === undefined && !(isKnown && mode === 'cookie')) await deadline.race(load());
      const token = current?.access_token;
      if (token === undefined)
        return mode === 'cookie' && !isKnown ? deadline.race(refresh(undefined)) : undefined;
      const state = freshness.of(token);
      if (state === 'fresh') return token;
      const next = refresh(token);
      // It is still accepted: a service that cannot refresh now fails no call.
      if (state === 'due') return deadline.race(next.catch(() => token));
      return deadline.race(next);
    },
    async renew(used, deadline) {
      if (current !== undefined && current.access_token !== used) return current.access_token;
      return deadline.race(refresh(used));
    },
    adopt: (tokens) => lock(() => save(tokens)),
    clear: () => lock(() => save(undefined)),
    async heard(token) {
      if (mode === 'token') await load();
      else use(token === undefined ? undefined : { access_token: token });
    },
  };
}
