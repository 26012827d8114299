import { getEventListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from '../../../packages/client/src';
import { createEtagCache } from '../../../packages/client/src/etag-cache';

const tokens = { access_token: 'spoiled', refresh_token: 'one' };
const user = { id: 'u1', name: 'Ada' };

/** A service whose every second answer is lost; it knows the token of a refresh alone. */
function flaky(): typeof fetch {
  let requests = 0;
  return async (url, init) => {
    requests += 1;
    if (requests % 2 === 0) throw new TypeError('fetch failed');
    if (String(url).endsWith('/refresh')) return Response.json({ ...tokens, access_token: 'good' });
    const isGood = new Headers(init?.headers).get('authorization') === 'Bearer good';
    return isGood
      ? Response.json(user, { headers: { etag: `"${requests}"` } })
      : Response.json({ code: 'invalid_token' }, { status: 401 });
  };
}

function storageOf() {
  const items = new Map([['clustered-auth', JSON.stringify(tokens)]]);
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value),
    removeItem: (key: string) => items.delete(key),
  };
}

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test('calls leave no timer and no listener, however they end', async () => {
  const before = timers();
  const control = new AbortController();
  const { signal } = control;
  const options = { baseUrl: 'http://auth.example.test', retryBudget: 1000 };
  const one = createClient({ ...options, storage: storageOf(), fetch: flaky() });
  for (let n = 0; n < 20; n += 1) expect(await one.users.get('me', { signal })).toEqual(user);
  one.close();
  const hanging: typeof fetch = (_url, init) =>
    new Promise((_resolve, reject) =>
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))),
    );
  const silent = createClient({ ...options, fetch: hanging, attemptTimeoutMs: 20 });
  const late = silent.users.get('me', { signal, timeoutMs: 60 });
  await expect(late).rejects.toMatchObject({ name: 'ClientError' });
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  const aborted = silent.users.get('me', { signal });
  control.abort();
  await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
  await expect(silent.users.get('me', { signal })).rejects.toMatchObject({ code: 'aborted' });
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  await pause(0);
  expect(timers()).toBeLessThanOrEqual(before);
});

test('a call that outlives its client has its answer, and stores its tokens', async () => {
  const storage = storageOf();
  const fetch = flaky();
  const one = createClient({ baseUrl: 'http://auth.example.test', storage, fetch });
  const call = one.users.get('me');
  one.close();
  expect(await call).toEqual(user);
  expect(storage.getItem('clustered-auth')).toContain('good');
});

test('the answers that are kept are few, and none of them is large', () => {
  const cache = createEtagCache(3);
  for (let n = 0; n < 10; n += 1) {
    cache.set(`/${n}`, { etag: `"${n}"`, text: 'text' });
    cache.get('/0');
  }
  cache.set('/1', { etag: '"1"', text: 'x'.repeat(65_537) });
  const kept = Array.from({ length: 10 }, (_, n) => n).filter((n) => cache.get(`/${n}`));
  // What is used stays.
  expect(kept).toEqual([0, 8, 9]);
});
