import { randomUUID } from 'node:crypto';
import {
  type Client,
  type ClientOptions,
  createClient,
  type TokenStorage,
} from '../../../packages/client/src';
import { createVerifier } from '../../../packages/verifier/src';
import { startTestService, type TestService } from '../../support/app';
import { startCuttingProxy } from '../../support/cutting-proxy';

/** What the client makes of answers that are lost, against the real service. */

const ISSUER = 'http://auth.example.test';
const LEASE_MS = 3000;
let service: TestService;
const made: Client[] = [];

beforeAll(async () => {
  service = await startTestService({
    JWT_SECRET: '',
    KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5),
    PUBLIC_URL: ISSUER,
    REVOCATION_LEASE_MS: String(LEASE_MS),
  });
});
afterEach(() => {
  for (const one of made.splice(0)) one.close();
});
afterAll(() => service?.close());

function createStorage(): TokenStorage {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => items.set(key, value),
    removeItem: (key) => items.delete(key),
  };
}

function clientOf(options: Partial<ClientOptions>): Client {
  const one = createClient({ baseUrl: service.baseUrl, ...options });
  made.push(one);
  return one;
}

async function signedIn(): Promise<TokenStorage> {
  const storage = createStorage();
  const email = `${randomUUID()}@example.org`;
  const account = { name: 'Ada', email, password: 'correct horse battery' };
  await clientOf({ storage }).auth.register(account);
  return storage;
}

interface Loss {
  readonly of: RegExp;
  /** Done after the service has answered, and before the client knows that the answer is lost. */
  readonly meanwhile?: () => Promise<unknown>;
  /** The service forgets what it has answered, as when its worker dies before that is stored. */
  readonly forgets?: boolean;
}

/** Loses the first answer to these requests. Records all requests. */
function losing({ of, meanwhile, forgets = false }: Loss) {
  const sent: { readonly name: string; readonly status: number }[] = [];
  let isLost = false;
  const through: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    if (forgets) headers.delete('idempotency-key');
    const answer = await fetch(input, { ...init, headers });
    const name = `${init?.method} ${new URL(String(input)).pathname}`;
    sent.push({ name, status: answer.status });
    if (isLost || !of.test(name)) return answer;
    isLost = true;
    await meanwhile?.();
    throw new TypeError('fetch failed');
  };
  const statuses = (name: RegExp) =>
    sent.filter((one) => name.test(one.name)).map(({ status }) => status);
  return { through, statuses };
}

describe('an update by value', () => {
  const themed = (theme: string) => ({ user_metadata: { theme } });

  /** Another client sets the theme after the update, whose answer is lost. */
  async function overtaken(by: string, forgets = false) {
    const storage = await signedIn();
    const other = clientOf({ storage });
    await other.users.update('me', themed('grey'));
    const meanwhile = () => other.users.update('me', themed(by));
    const loss = losing({ of: /^PATCH/, meanwhile, forgets });
    const update = clientOf({ storage, fetch: loss.through }).users.update('me', themed('dark'));
    const code = await update.then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    return { code, theme: (await other.users.get('me')).user_metadata?.['theme'], loss };
  }

  test('is not made again over a change that another has acknowledged since', async () => {
    const { loss, ...seen } = await overtaken('light');
    expect(seen).toEqual({ code: 'done', theme: 'light' });
    expect(loss.statuses(/^PATCH/)).toEqual([200, 200]);
  });

  test('has no known outcome where the service has forgotten its answer', async () => {
    const { loss, ...seen } = await overtaken('light', true);
    expect(seen).toEqual({ code: 'outcome_unknown', theme: 'light' });
    expect(loss.statuses(/^PATCH/)).toEqual([200, 412]);
  });

  test('is confirmed by the service where it is there', async () => {
    const { loss, ...seen } = await overtaken('dark', true);
    expect(seen).toEqual({ code: 'done', theme: 'dark' });
    expect(loss.statuses(/^PATCH/)).toEqual([200, 412, 200]);
  });

  test('is made where only other members have changed', async () => {
    const storage = await signedIn();
    const other = clientOf({ storage });
    const refused: typeof fetch = async (input, init) => {
      if (init?.method !== 'PATCH' || isRefused) return fetch(input, init);
      isRefused = true;
      await other.users.update('me', { user_metadata: { size: 'large' } });
      throw new TypeError('fetch failed');
    };
    let isRefused = false;
    await clientOf({ storage, fetch: refused }).users.update('me', themed('dark'));
    const { user_metadata } = await other.users.get('me');
    expect(user_metadata).toEqual({ theme: 'dark', size: 'large' });
  });

  test('is shown merged where the service shows nothing of it', async () => {
    const storage = await signedIn();
    const unseen: typeof fetch = async (input, init) => {
      const answer = await fetch(input, init);
      return init?.method === 'PATCH' ? new Response(null, { status: 204 }) : answer;
    };
    const one = clientOf({ storage });
    await one.users.update('me', { user_metadata: { a: { b: 1, c: 2 }, d: 3, list: [1] } });
    const change = { user_metadata: { a: { b: null, e: { f: null } }, d: null, list: [2] } };
    const shown = await clientOf({ storage, fetch: unseen }).users.update('me', change);
    expect(shown.user_metadata).toEqual({ a: { c: 2, e: {} }, list: [2] });
    const all = await clientOf({ storage, fetch: unseen }).users.update('me', {
      user_metadata: null,
    });
    expect(all.user_metadata).toEqual((await one.users.get('me')).user_metadata);
  });
});

describe('an end of tokens', () => {
  /** A verifier of another service that hears nothing any more; it decides until its lease ends. */
  async function cutOffVerifier() {
    const admin = clientOf({});
    const { email, password } = service.admin;
    await admin.auth.login({ email, password });
    const body = { name: 'Orders', scopes: ['revocations:read' as const] };
    const account = await admin.request('POST', '/api/service-accounts', { body });
    const cut = new AbortController();
    const verifier = createVerifier({
      ...{ issuer: ISSUER, audience: 'api', allowHttp: true, whenSilent: 'refuse' },
      credentials: { clientId: account.id, clientSecret: account.client_secret },
      fetch: async (url, init) => {
        cut.signal.throwIfAborted();
        const answer = await fetch(String(url).replace(ISSUER, service.baseUrl), init);
        cut.signal.throwIfAborted();
        return answer;
      },
    });
    await verifier.ready;
    return { verifier, cut: () => cut.abort() };
  }

  test.each(['local', 'global'] as const)(
    'logout (%s) succeeds when verifiers know of it',
    async (scope) => {
      const storage = await signedIn();
      const { verifier, cut } = await cutOffVerifier();
      // The client gives up the answer, which waits for the verifier; its repeat is refused.
      const one = clientOf({ storage, attemptTimeoutMs: LEASE_MS / 4, timeoutMs: 60_000 });
      const token = (await one.auth.accessToken()) ?? '';
      await verifier.verify(token);
      cut();
      await one.auth.logout({ scope });
      await expect(verifier.verify(token)).rejects.toThrow();
      verifier.close();
      expect(await storage.getItem('clustered-auth')).toBeNull();
    },
  );

  test('a removal succeeds when verifiers know of it', async () => {
    const user = clientOf({ storage: await signedIn() });
    const { verifier, cut } = await cutOffVerifier();
    const admin = clientOf({ attemptTimeoutMs: LEASE_MS / 4 });
    const { email, password } = service.admin;
    await admin.auth.login({ email, password });
    const token = (await user.auth.accessToken()) ?? '';
    const { sub } = await verifier.verify(token);
    cut();
    await admin.users.remove(sub);
    await expect(verifier.verify(token)).rejects.toThrow();
    verifier.close();
  });

  test('logout of all sessions does not succeed where others have ended this one', async () => {
    const storage = await signedIn();
    const [one, other] = [clientOf({ storage }), clientOf({ storage: createStorage() })];
    const access_token = (await one.auth.accessToken()) ?? '';
    await other.auth.adopt({ access_token });
    await other.auth.logout();
    const scoped = (scope: 'others' | 'global') => one.auth.logout({ scope });
    await expect(scoped('others')).rejects.toMatchObject({ status: 401, code: 'invalid_token' });
    await expect(scoped('global')).rejects.toMatchObject({ status: 401 });
    await one.auth.logout();
  });

  test('a logout that is refused for another reason does not succeed', async () => {
    const storage = await signedIn();
    const refusal = Response.json({ code: 'insufficient_user_authentication' }, { status: 401 });
    const refusing: typeof fetch = async (input, init) =>
      String(input).includes('logout') ? refusal : fetch(input, init);
    const logout = clientOf({ storage, fetch: refusing }).auth.logout();
    await expect(logout).rejects.toMatchObject({ code: 'insufficient_user_authentication' });
    expect(await storage.getItem('clustered-auth')).not.toBeNull();
  });

  test('a logout that was not confirmed is by the next one', async () => {
    const storage = await signedIn();
    const { verifier, cut } = await cutOffVerifier();
    const one = clientOf({ storage, attemptTimeoutMs: LEASE_MS / 4 });
    const token = (await one.auth.accessToken()) ?? '';
    await verifier.verify(token);
    cut();
    const impatient = one.auth.logout({ timeoutMs: LEASE_MS / 2 });
    await expect(impatient).rejects.toMatchObject({ code: 'timeout' });
    await one.auth.logout();
    await expect(verifier.verify(token)).rejects.toThrow();
    verifier.close();
  });
});

test('an answer that never comes is given up, and the POST done once', async () => {
  const port = Number(new URL(service.baseUrl).port);
  const proxy = await startCuttingProxy(port, 2, /register|refresh/, ['silent']);
  try {
    const users = service.database.connection.collection('users');
    const before = await users.countDocuments();
    const storage = createStorage();
    const register = (to: TokenStorage) =>
      clientOf({ baseUrl: proxy.url, storage: to, attemptTimeoutMs: 1000 }).auth.register({
        ...{ name: 'Ada', email: `${randomUUID()}@example.org` },
        password: 'correct horse battery',
      });
    for (let n = 0; n < 3; n += 1) await register(storage);
    expect([await users.countDocuments(), proxy.cut()]).toEqual([before + 3, 2]);
    const tokens = JSON.parse(String(await storage.getItem('clustered-auth'))) as object;
    storage.setItem('clustered-auth', JSON.stringify({ ...tokens, access_token: 'spoiled' }));
    const reader = clientOf({ baseUrl: proxy.url, storage });
    expect((await reader.users.get('me')).name).toBe('Ada');
    expect(proxy.cut()).toBe(3);
  } finally {
    await proxy.close();
  }
});
