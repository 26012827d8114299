import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer } from 'node:net';
import {
  type Client,
  ClientError,
  type ClientOptions,
  createClient,
  isProblem,
  ProblemError,
  type TokenStorage,
} from '../../../packages/client/src';
import { startTestService, type TestService } from '../../support/app';
import { type CuttingProxy, startCuttingProxy } from '../../support/cutting-proxy';
import { appOf } from '../../support/factors';

const PASSWORD = 'correct horse battery';
let service: TestService;
let proxy: CuttingProxy | undefined;
const made: Client[] = [];
const newUser = () => ({ name: 'Ada', email: `${randomUUID()}@example.org`, password: PASSWORD });

/** A client that counts its requests by `METHOD path`. */
function client(options: Partial<ClientOptions> = {}) {
  const sent: { name: string; status: number; headers: Headers }[] = [];
  const counting: typeof fetch = async (input, init) => {
    const { method = 'GET', headers } = init ?? {};
    const name = `${method} ${new URL(String(input)).pathname}`;
    const entry = { name, status: 0, headers: new Headers(headers) };
    sent.push(entry);
    const answer = await (options.fetch ?? fetch)(input, init);
    entry.status = answer.status;
    return answer;
  };
  const one = createClient({ baseUrl: service.baseUrl, ...options, fetch: counting });
  made.push(one);
  const of = (name: string) => sent.filter((entry) => entry.name === name);
  return Object.assign(one, { sent, of });
}

function sharedStorage(): TokenStorage & { items: Map<string, string> } {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
}

async function throughProxy(every: number, only?: RegExp): Promise<CuttingProxy> {
  proxy = await startCuttingProxy(Number(new URL(service.baseUrl).port), every, only);
  return proxy;
}

beforeAll(async () => {
  service = await startTestService({ ACCESS_TOKEN_TTL_SECONDS: '60' });
});
afterAll(() => service?.close());
afterEach(async () => {
  for (const one of made.splice(0)) one.close();
  await proxy?.close();
  proxy = undefined;
});

const administrator = () => ({ email: service.admin.email, password: service.admin.password });

/** Makes the client's access token one that the service refuses. */
const spoil = (storage: TokenStorage & { items: Map<string, string> }) => {
  const tokens = JSON.parse(storage.items.get('clustered-auth') ?? '') as Record<string, string>;
  storage.setItem('clustered-auth', JSON.stringify({ ...tokens, access_token: 'spoiled' }));
};

test('registers, reads, updates and signs out', async () => {
  const users: (string | undefined)[] = [];
  const one = client({ onUserChange: (id) => users.push(id) });
  const result = await one.auth.register(newUser());
  if (result.mfa_required === true) throw new Error('no factor was set up');
  expect(result).toEqual({ user: expect.objectContaining({ name: 'Ada' }) });
  const changed = await one.users.update('me', { user_metadata: { plan: 'pro' } });
  expect(changed.user_metadata).toEqual({ plan: 'pro' });
  expect(await one.users.get('me')).toEqual(changed);
  await one.auth.logout();
  expect(users).toEqual([result.user.id, undefined]);
  await expect(one.users.get('me')).rejects.toMatchObject({ status: 401, code: 'missing_token' });
});

test('a refusal is a ProblemError with code, fields and request id', async () => {
  const error = await client()
    .auth.register({ ...newUser(), email: 'not an address' })
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ProblemError);
  expect(isProblem(error, 'validation_failed')).toBe(true);
  expect(error).toMatchObject({
    status: 422,
    requestId: expect.stringMatching(/\S/),
    errors: [expect.objectContaining({ pointer: '/email' })],
  });
});

test('an answer is read again with If-None-Match, and belongs to its caller', async () => {
  const one = client();
  await one.auth.register(newUser());
  const first = await one.users.get('me');
  (first as { name: string }).name = 'Changed by the caller';
  expect((await one.users.get('me')).name).toBe('Ada');
  expect(one.of('GET /api/users/me').map(({ status }) => status)).toEqual([200, 304]);
  // Another user must not be asked for with the tag of the last one.
  await one.auth.register({ ...newUser(), name: 'Grace' });
  expect((await one.users.get('me')).name).toBe('Grace');
  expect(one.of('GET /api/users/me').at(-1)?.headers.has('if-none-match')).toBe(false);
});

test('concurrent calls of one client share one refresh', async () => {
  const storage = sharedStorage();
  await client({ storage }).auth.register(newUser());
  spoil(storage);
  const one = client({ storage });
  await Promise.all(Array.from({ length: 20 }, () => one.users.get('me')));
  expect(one.of('POST /api/auth/refresh')).toHaveLength(1);
});

test('clients on one storage refresh one after the other, with the newest token', async () => {
  const storage = sharedStorage();
  await client({ storage }).auth.register(newUser());
  for (let round = 0; round < 3; round += 1) {
    spoil(storage);
    const tabs = Array.from({ length: 4 }, () => client({ storage }));
    await Promise.all(tabs.map((tab) => tab.users.get('me')));
    const refreshes = tabs.flatMap((tab) => tab.of('POST /api/auth/refresh'));
    expect(refreshes.map(({ status }) => status)).toEqual([200]);
  }
});

test('a refresh whose answers are lost is repeated, and the session stands', async () => {
  const { url, cut } = await throughProxy(2, /refresh/);
  const storage = sharedStorage();
  const one = client({ storage, baseUrl: url });
  await one.auth.register(newUser());
  for (let round = 0; round < 3; round += 1) {
    spoil(storage);
    const tab = client({ storage, baseUrl: url });
    expect((await tab.users.get('me')).name).toBe('Ada');
  }
  expect(cut()).toBeGreaterThan(0);
});

test('a refresh whose answer never comes is repeated within the grace window', async () => {
  const storage = sharedStorage();
  await client({ storage }).auth.register(newUser());
  spoil(storage);
  let swallowed = 0;
  const swallowing: typeof fetch = async (input, init) => {
    const answer = await fetch(input, init);
    if (!String(input).endsWith('/refresh') || swallowed > 0) return answer;
    swallowed += 1;
    return new Promise((_resolve, reject) =>
      init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))),
    );
  };
  const one = client({ storage, fetch: swallowing });
  expect((await one.users.get('me')).name).toBe('Ada');
  expect(one.of('POST /api/auth/refresh').map(({ status }) => status)).toEqual([0, 200]);
});

test('an ended session is forgotten once, and is told', async () => {
  const storage = sharedStorage();
  const users: (string | undefined)[] = [];
  const one = client({ storage, onUserChange: (id) => users.push(id) });
  await one.auth.register(newUser());
  await client({ storage }).request('POST', '/api/auth/logout', { query: { scope: 'global' } });
  await expect(one.users.get('me')).rejects.toMatchObject({ status: 401 });
  expect(storage.items.size).toBe(0);
  expect(users.at(-1)).toBeUndefined();
});

test('a POST whose answer is lost is done once', async () => {
  const { url, cut } = await throughProxy(2, /register/);
  const one = client({ baseUrl: url });
  const before = await service.database.connection.collection('users').countDocuments();
  for (let n = 0; n < 4; n += 1) await one.auth.register(newUser());
  expect(await service.database.connection.collection('users').countDocuments()).toBe(before + 4);
  expect(cut()).toBe(3);
  const keys = one
    .of('POST /api/auth/register')
    .map(({ headers }) => headers.get('idempotency-key'));
  expect([keys.length, new Set(keys).size]).toEqual([7, 4]);
});

test('a request that must not be sent twice is not', async () => {
  const { url } = await throughProxy(1, /login/);
  const one = client({ baseUrl: url });
  const { email, password } = newUser();
  await expect(one.auth.login({ email, password })).rejects.toMatchObject({ code: 'network' });
  expect(one.of('POST /api/auth/login')).toHaveLength(1);
});

test('updates of several clients at once are all kept, though answers are lost', async () => {
  const { url, cut } = await throughProxy(3, /PATCH/);
  const storage = sharedStorage();
  const first = client({ storage, baseUrl: url });
  await first.auth.register(newUser());
  const tabs = Array.from({ length: 4 }, () => client({ storage, baseUrl: url }));
  await Promise.all(
    tabs.map(async (tab, n) => {
      for (let value = 1; value <= 4; value += 1)
        await tab.users.update('me', { user_metadata: { [`tab${n}`]: value } });
    }),
  );
  const { user_metadata } = await first.users.get('me');
  expect(user_metadata).toEqual({ tab0: 4, tab1: 4, tab2: 4, tab3: 4 });
  expect(tabs.flatMap((tab) => tab.sent).some(({ status }) => status === 412)).toBe(true);
  expect(cut()).toBeGreaterThan(0);
});

test('a counter counts each call once, though answers are lost', async () => {
  const { url, cut } = await throughProxy(3, /PATCH/);
  const storage = sharedStorage();
  const tabs = Array.from({ length: 3 }, () => client({ storage, baseUrl: url }));
  await tabs[0]?.auth.register(newUser());
  const countUp = (tab: Client) =>
    tab.users.update('me', ({ user_metadata }) => ({
      user_metadata: { count: Number(user_metadata?.['count'] ?? 0) + 1 },
    }));
  await Promise.all(
    tabs.map(async (tab) => {
      for (let n = 0; n < 4; n += 1) await countUp(tab);
    }),
  );
  expect((await tabs[0]?.users.get('me'))?.user_metadata).toEqual({ count: 12 });
  expect(cut()).toBeGreaterThan(0);
});

test('a removal whose answer is lost succeeds', async () => {
  const { url, cut } = await throughProxy(2, /DELETE/);
  const one = client({ baseUrl: url });
  await one.auth.login(administrator());
  for (let n = 0; n < 2; n += 1) {
    const { id } = await one.request('POST', '/api/users', { body: newUser() });
    await one.users.remove(id);
  }
  expect(cut()).toBe(1);
});

test('all items of a list, page by page', async () => {
  const one = client();
  await one.auth.login(administrator());
  const ids = new Set<string>();
  for await (const user of one.users.list({ limit: 3, role: ['user', 'admin'] })) ids.add(user.id);
  expect(ids.size).toBe(await service.database.connection.collection('users').countDocuments());
  expect(one.of('GET /api/users').length).toBe(Math.ceil(ids.size / 3));
});

test('a second factor is asked for by a typed result', async () => {
  const one = client();
  const account = newUser();
  await one.auth.register(account);
  const { otpauth_uri } = await one.request('POST', '/api/auth/factors/totp', { body: {} });
  const app = appOf(otpauth_uri);
  const code = app();
  await one.request('POST', '/api/auth/factors/totp/confirm', { body: { code } });
  const { email, password } = account;
  const other = client();
  const asked = await other.auth.login({ email, password });
  if (asked.mfa_required !== true) throw new Error('no factor was asked for');
  expect(asked.factors).toContain('totp');
  await expect(other.users.get('me')).rejects.toMatchObject({ status: 401 });
  const signed = await other.auth.verifyMfa({
    ...{ mfa_token: asked.mfa_token, factor: 'totp', code: app(1) },
  });
  expect(signed.user.email).toBe(email);
  expect((await other.users.get('me')).email).toBe(email);
});

test('an answer that was cut within its headers is no answer', async () => {
  const whole = Response.json({ data: [] });
  const answers = [new Response(null, { status: 200 }), whole];
  const one = client({ fetch: async () => answers.shift() ?? whole });
  expect(await one.request('GET', '/api/auth/oidc')).toEqual({ data: [] });
});

test('an answer that was cut within its body is no answer, also where it closes the connection', async () => {
  const body = '{"data":[]}';
  let answers = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      answers += 1;
      const head = `Connection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
      socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${answers === 1 ? body.slice(0, 5) : body}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const one = client({ baseUrl: `http://127.0.0.1:${port}` });
    expect(await one.request('GET', '/api/auth/oidc')).toEqual({ data: [] });
    expect(answers).toBe(2);
  } finally {
    server.close();
  }
});

test('an error of the page on a change of user does not fail the sign-in', async () => {
  const said = jest.spyOn(console, 'error').mockImplementation(() => {});
  const error = new Error('of the page');
  const one = client({
    onUserChange: () => {
      throw error;
    },
  });
  try {
    await one.auth.register(newUser());
    expect((await one.users.get('me')).name).toBe('Ada');
    expect(said.mock.calls).toEqual([[error]]);
  } finally {
    said.mockRestore();
  }
});

describe('time', () => {
  test('a call ends at its deadline, with its retries', async () => {
    const { url } = await throughProxy(1);
    const began = performance.now();
    const call = client({ baseUrl: url }).request('GET', '/api/auth/oidc', { timeoutMs: 700 });
    await expect(call).rejects.toMatchObject({ name: 'ClientError' });
    expect(performance.now() - began).toBeLessThan(1500);
  });

  test('an aborted call ends at once', async () => {
    const control = new AbortController();
    const hanging: typeof fetch = (_url, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      });
    const call = client({ fetch: hanging }).users.get('me', { signal: control.signal });
    control.abort('no longer needed');
    const error = await call.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ code: 'aborted', cause: 'no longer needed' });
  });

  test('Retry-After is waited for, and the budget bounds the retries', async () => {
    const busy = (headers: Record<string, string>) =>
      new Response('{"code":"overloaded"}', { status: 503, headers });
    const at: number[] = [];
    const answers = [busy({ 'retry-after': '1' }), Response.json({ data: [] })];
    const one = client({
      fetch: async () => {
        at.push(performance.now());
        return answers[at.length - 1] ?? busy({});
      },
      retryBudget: 3,
    });
    await one.request('GET', '/api/auth/oidc');
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(1000);
    const call = one.request('GET', '/api/auth/oidc');
    await expect(call).rejects.toMatchObject({ code: 'overloaded', status: 503 });
    expect(at).toHaveLength(5);
  });

  test('a request that must not be sent twice fails at once, also with 429', async () => {
    const busy = { code: 'too_many_requests', title: 'Too many requests' };
    const one = client({
      fetch: async () => Response.json(busy, { status: 429, headers: { 'retry-after': '1' } }),
    });
    const { email, password } = newUser();
    await expect(one.auth.login({ email, password })).rejects.toMatchObject({
      ...{ status: 429, retryAfterSeconds: 1 },
    });
    expect(one.of('POST /api/auth/login')).toHaveLength(1);
    // Of a proxy.
    const bare = client({
      fetch: async () => new Response(null, { status: 429, headers: { 'retry-after': '7' } }),
    });
    await expect(bare.auth.login({ email, password })).rejects.toMatchObject({
      ...{ status: 429, retryAfterSeconds: 7 },
    });
  });

  test('a Retry-After beyond the deadline is an error at once', async () => {
    const began = performance.now();
    const one = client({
      fetch: async () => new Response('', { status: 429, headers: { 'retry-after': '60' } }),
    });
    await expect(one.request('GET', '/api/auth/oidc')).rejects.toMatchObject({
      ...{ status: 429, retryAfterSeconds: 60, code: 'unknown_problem' },
    });
    expect(performance.now() - began).toBeLessThan(1000);
  });
});
