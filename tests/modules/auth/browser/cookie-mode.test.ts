import { startTestService, type TestService } from '../../../support/app';
import { createDpopKey } from '../../../support/dpop';
import { appOf, claimsIn, withTotp } from '../../../support/factors';
import {
  type Answer,
  type Client,
  createClient,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const PAGE = 'https://app.example.test';
const NAME = '__Host-refresh_token';
let mongo: TestMongo;
let service: TestService;
let client: Client;

beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startTestService({ BROWSER_ORIGINS: `${PAGE}, https://example.test` }, mongo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
});

interface Sent {
  readonly cookie?: string | undefined;
  readonly headers?: Record<string, string>;
  readonly token?: string;
  readonly body?: unknown;
}
/** A request as a browser sends it for a page. */
const send = (path: string, { cookie, headers = {}, ...rest }: Sent = {}, by = client) =>
  by('POST', path, {
    ...rest,
    headers: { origin: PAGE, ...(cookie && { cookie: `a=b; ${NAME}=${cookie}` }), ...headers },
  });
const ASK = { 'refresh-token-mode': 'cookie' };
const REFRESH = '/api/auth/refresh';
const LOGOUT = '/api/auth/logout';
const refresh = (cookie: string | undefined, headers: Record<string, string> = {}) =>
  send(REFRESH, { cookie, headers, body: {} });

const STORED =
  /^__Host-refresh_token=([A-Za-z0-9_-]{80}); Max-Age=1209600; Path=\/; Secure; HttpOnly; SameSite=Strict$/;
const REMOVED = '__Host-refresh_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Strict';
/** The token that the answer stores in the cookie, and nowhere else. */
function cookieOf({ headers, text }: Answer): string {
  const token = STORED.exec(headers.get('set-cookie') ?? '')?.[1] ?? '';
  expect(headers.get('set-cookie')).toMatch(STORED);
  expect(text).not.toContain('refresh_token');
  expect(text).not.toContain(token);
  return token;
}
const codeOf = ({ status, json, headers }: Answer) => [
  ...[status, json?.code],
  headers.get('set-cookie'),
];
const FORBIDDEN = [403, 'origin_not_allowed', null];
const INVALID = [401, 'invalid_refresh_token', REMOVED];

async function signIn() {
  const email = uniqueEmail('cookie');
  const { refresh_token: json } = await register(client, { email });
  const answer = await send('/api/auth/login', {
    headers: ASK,
    body: { email, password: PASSWORD },
  });
  expect(answer.status).toBe(200);
  const token = answer.json.access_token as string;
  return { email, cookie: cookieOf(answer), token, json };
}
const isSignedIn = async (token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status === 200;

test('a sign-in of a page stores the refresh token in the cookie, and refreshes rotate it', async () => {
  const { token, cookie } = await signIn();
  expect(await isSignedIn(token)).toBe(true);
  const first = await refresh(cookie);
  expect([first.status, first.json.token_type]).toEqual([200, 'Bearer']);
  const next = cookieOf(first);
  expect(next).not.toBe(cookie);
  expect(await isSignedIn(first.json.access_token)).toBe(true);
  // Another tab that had the same cookie: within the grace window it gets the same answer.
  const repeat = await refresh(cookie);
  expect([repeat.text, cookieOf(repeat)]).toEqual([first.text, next]);
  expect((await refresh(next)).status).toBe(200);
});

test('registration has the mode too, and without the header the token is in the JSON', async () => {
  const body = { name: 'Ada', email: uniqueEmail(), password: PASSWORD };
  const registered = await send('/api/auth/register', { headers: ASK, body });
  expect(registered.status).toBe(201);
  expect((await refresh(cookieOf(registered))).status).toBe(200);
  const plain = await send('/api/auth/login', { body: { email: body.email, password: PASSWORD } });
  expect([plain.headers.get('set-cookie'), plain.json.refresh_token]).toEqual([
    null,
    expect.any(String),
  ]);
});

test('reuse after the grace window ends the session and removes the cookie', async () => {
  const { cookie } = await signIn();
  const next = cookieOf(await refresh(cookie));
  const sessions = service.database.connection.collection('sessions');
  await sessions.updateMany({}, { $set: { used: [] } });
  expect(codeOf(await refresh(cookie))).toEqual([401, 'refresh_token_reused', REMOVED]);
  expect(codeOf(await refresh(next))).toEqual(INVALID);
});

describe.each([
  ['no Origin', { origin: '' }],
  ['the Origin of another site', { origin: 'https://attacker.test' }],
  ['the Origin of another subdomain', { origin: 'https://evil.example.test' }],
  ['the Origin null', { origin: 'null' }],
  ['the Origin with another scheme', { origin: 'http://app.example.test' }],
  ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }],
  ['Sec-Fetch-Site: none', { 'sec-fetch-site': 'none' }],
])('a request with %s', (_name, headers) => {
  test('cannot refresh', async () => {
    const { cookie } = await signIn();
    expect(codeOf(await refresh(cookie, headers))).toEqual(FORBIDDEN);
    expect((await refresh(cookie)).status).toBe(200);
  });

  test('cannot log out', async () => {
    const { cookie, token } = await signIn();
    expect(codeOf(await send(LOGOUT, { cookie, headers }))).toEqual(FORBIDDEN);
    expect(await isSignedIn(token)).toBe(true);
  });

  test('cannot sign in to the cookie, nor register', async () => {
    const { email } = await signIn();
    const body = { email, password: PASSWORD };
    const asked = { ...ASK, ...headers };
    expect(codeOf(await send('/api/auth/login', { headers: asked, body }))).toEqual(FORBIDDEN);
    const fresh = { name: 'Ada', email: uniqueEmail(), password: PASSWORD };
    expect(codeOf(await send('/api/auth/register', { headers: asked, body: fresh }))).toEqual(
      FORBIDDEN,
    );
    expect((await client('POST', '/api/auth/register', { body: fresh })).status).toBe(201);
  });
});

test.each(['same-origin', 'same-site'])(
  'Sec-Fetch-Site: %s is a page of the site',
  async (site) => {
    const { cookie } = await signIn();
    expect((await refresh(cookie, { 'sec-fetch-site': site })).status).toBe(200);
  },
);

test('a form cannot refresh, log in or log out', async () => {
  const { cookie, token } = await signIn();
  const form = { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://evil.test' };
  const post = (path: string, raw: string) =>
    client('POST', path, { raw, headers: { ...form, cookie: `${NAME}=${cookie}` } });
  expect((await post(REFRESH, 'a=b')).status).toBe(415);
  expect((await post('/api/auth/login', 'email=a@b.cd&password=secret')).status).toBe(415);
  expect((await post(LOGOUT, 'a=b')).status).toBe(403);
  // The token endpoint takes forms, and no cookies.
  const granted = await post('/api/auth/token', 'grant_type=refresh_token');
  expect([granted.status, granted.json.error]).toEqual([400, 'invalid_request']);
  expect(await isSignedIn(token)).toBe(true);
});

test('a token is accepted only from where its session keeps it', async () => {
  const { cookie, json } = await signIn();
  expect(codeOf(await send(REFRESH, { body: { refresh_token: cookie } }))).toEqual([
    ...[401, 'invalid_refresh_token', null],
  ]);
  const granted = await client('POST', '/api/auth/token', {
    raw: `grant_type=refresh_token&refresh_token=${cookie}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  expect([granted.status, granted.json.error]).toEqual([400, 'invalid_grant']);
  expect(codeOf(await refresh(json))).toEqual(INVALID);
  const revoked = await client('POST', '/api/auth/revoke', {
    raw: `token=${cookie}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  expect([revoked.status, revoked.json.error]).toEqual([400, 'invalid_grant']);
  // Both sessions are as before. A token in the body is judged alone, whatever the cookie is.
  expect((await refresh(cookie)).status).toBe(200);
  const own = await send(REFRESH, { cookie: 'A'.repeat(80), body: { refresh_token: json } });
  expect([own.status, own.headers.get('set-cookie')]).toEqual([200, null]);
});

test('an invalid cookie is removed; none is 401 for a page, and a missing field for others', async () => {
  expect(codeOf(await refresh('A'.repeat(80)))).toEqual(INVALID);
  expect(codeOf(await refresh('no token'))).toEqual(INVALID);
  expect(codeOf(await refresh(undefined))).toEqual([401, 'invalid_refresh_token', null]);
  const other = await client('POST', REFRESH, { body: {} });
  expect([other.status, other.json.errors[0]]).toEqual([
    422,
    expect.objectContaining({ pointer: '/refresh_token', code: 'required' }),
  ]);
  const unknown = await send('/api/auth/login', {
    ...{ headers: { 'refresh-token-mode': 'storage' }, body: {} },
  });
  expect(codeOf(unknown)).toEqual([400, 'invalid_refresh_token_mode', null]);
});

test('logout ends the session and removes the cookie, by access token or by the cookie alone', async () => {
  const one = await signIn();
  const ended = await send(LOGOUT, { cookie: one.cookie, token: one.token });
  expect(codeOf(ended)).toEqual([204, undefined, REMOVED]);
  const two = await signIn();
  expect(codeOf(await send(LOGOUT, { cookie: two.cookie }))).toEqual([204, undefined, REMOVED]);
  for (const { cookie, token } of [one, two]) {
    expect(await isSignedIn(token)).toBe(false);
    expect(codeOf(await refresh(cookie))).toEqual(INVALID);
    expect(codeOf(await send(LOGOUT, { cookie }))).toEqual(INVALID);
  }
  expect((await send(LOGOUT)).json.code).toBe('missing_token');
});

test('logout by the access token of another session leaves the cookie to its own', async () => {
  const { email, cookie } = await signIn();
  const token = await login(client, email, PASSWORD);
  expect(codeOf(await send(LOGOUT, { cookie, token }))).toEqual([204, undefined, null]);
  expect((await refresh(cookie)).status).toBe(200);
});

test('the scope of a logout by the cookie is as by the access token', async () => {
  const { email, cookie, token } = await signIn();
  const other = await login(client, email, PASSWORD);
  const others = await send(`${LOGOUT}?scope=others`, { cookie });
  expect(codeOf(others)).toEqual([204, undefined, null]);
  expect([await isSignedIn(other), await isSignedIn(token)]).toEqual([false, true]);
  const again = await login(client, email, PASSWORD);
  expect(codeOf(await send(`${LOGOUT}?scope=global`, { cookie }))).toEqual([
    ...[204, undefined, REMOVED],
  ]);
  expect([await isSignedIn(again), await isSignedIn(token)]).toEqual([false, false]);
});

test('at logout a cookie is as good as at a refresh: of one that is too old, its session ends', async () => {
  const { email, cookie } = await signIn();
  const fresh = cookieOf(await refresh(cookie));
  const other = await login(client, email, PASSWORD);
  // Within the grace window: the page could refresh by it as well.
  expect((await send(`${LOGOUT}?scope=others`, { cookie })).status).toBe(204);
  expect(await isSignedIn(other)).toBe(false);
  const third = await login(client, email, PASSWORD);
  await service.database.connection.collection('sessions').updateMany({}, { $set: { used: [] } });
  expect(codeOf(await send(`${LOGOUT}?scope=global`, { cookie }))).toEqual([
    ...[401, 'refresh_token_reused', REMOVED],
  ]);
  expect(await isSignedIn(third)).toBe(true);
  expect(codeOf(await refresh(fresh))).toEqual(INVALID);
});

test('a cookie that is bound to a key logs out with a proof by it only', async () => {
  const key = await createDpopKey(await import('jose'));
  const thief = await createDpopKey(await import('jose'));
  const proof = (path: string, by = key) => by.proof('POST', `${service.baseUrl}${path}`);
  const { email } = await signIn();
  const path = '/api/auth/login';
  const asked = { ...ASK, dpop: await proof(path) };
  const bound = await send(path, { headers: asked, body: { email, password: PASSWORD } });
  const [cookie, token] = [cookieOf(bound), bound.json.access_token];
  const logout = (headers: Record<string, string>) =>
    send(`${LOGOUT}?scope=global`, { cookie, headers });
  expect(codeOf(await logout({}))).toEqual([400, 'invalid_dpop_proof', null]);
  expect(codeOf(await logout({ dpop: await proof(LOGOUT, thief) }))).toEqual(INVALID);
  expect(await isSignedIn(token)).toBe(true);
  expect(codeOf(await logout({ dpop: await proof(LOGOUT) }))).toEqual([204, undefined, REMOVED]);
  expect(await isSignedIn(token)).toBe(false);
});

test('the cookie stands for the access token at logout only', async () => {
  const { cookie } = await signIn();
  const headers = { origin: PAGE, cookie: `${NAME}=${cookie}` };
  for (const path of ['/api/auth/profile', '/api/auth/sessions', '/api/users/me'])
    expect((await client('GET', path, { headers })).json.code).toBe('missing_token');
});

/** What has the access token alone, or a cookie that is not the session's, or another page. */
const THIEVES: readonly [string, (cookie: string, foreign: string) => Record<string, string>][] = [
  ['without a cookie', () => ({ origin: PAGE })],
  ['with the cookie of another session', (_, other) => ({ origin: PAGE, ...jar(other) })],
  ['without an Origin', (cookie) => jar(cookie)],
  ['of another page', (cookie) => ({ origin: 'https://evil.test', ...jar(cookie) })],
];
const jar = (cookie: string) => ({ cookie: `${NAME}=${cookie}` });

describe('a changed password', () => {
  const change = (token: string, headers: Record<string, string>) =>
    client('PATCH', '/api/auth/password', {
      ...{ token, headers },
      body: { current_password: PASSWORD, new_password: 'a brand new password' },
    });

  test('puts the new refresh token into the cookie', async () => {
    const { cookie, token } = await signIn();
    const changed = await change(token, { origin: PAGE, ...jar(cookie) });
    expect(changed.status).toBe(200);
    expect((await refresh(cookieOf(changed))).status).toBe(200);
    expect(codeOf(await refresh(cookie))).toEqual(INVALID);
  });

  test.each(THIEVES)('of a request %s gives none, and the earlier one ends', async (_, headers) => {
    const { cookie, token } = await signIn();
    const changed = await change(token, headers(cookie, (await signIn()).cookie));
    expect(codeOf(changed)).toEqual([200, undefined, null]);
    expect(changed.text).not.toContain('refresh_token');
    expect(await isSignedIn(changed.json.access_token)).toBe(true);
    expect(codeOf(await refresh(cookie))).toEqual(INVALID);
  });
});

describe('a factor that is added', () => {
  async function add(token: string, headers: Record<string, string>) {
    const enrolment = await client('POST', '/api/auth/factors/totp', { token, body: {} });
    const code = appOf(enrolment.json.otpauth_uri)();
    return client('POST', '/api/auth/factors/totp/confirm', { token, headers, body: { code } });
  }

  test('puts a new refresh token into the cookie of its session', async () => {
    const { cookie, token } = await signIn();
    const added = await add(token, { origin: PAGE, ...jar(cookie) });
    expect((await refresh(cookieOf(added))).status).toBe(200);
    expect(codeOf(await refresh(cookie))).toEqual(INVALID);
  });

  test.each(THIEVES)('by a request %s leaves the cookie to its owner', async (_, headers) => {
    const { cookie, token } = await signIn();
    const added = await add(token, headers(cookie, (await signIn()).cookie));
    expect(codeOf(added)).toEqual([200, undefined, null]);
    expect(added.text).not.toContain('refresh_token');
    expect(claimsIn(added.json.access_token)).toMatchObject({ acr: 'aal2' });
    // Nor has the refresh forgotten the factor.
    const refreshed = await refresh(cookie);
    expect(claimsIn(refreshed.json.access_token)).toMatchObject({ acr: 'aal2' });
    cookieOf(refreshed);
  });
});

test('a sign-in that began with the cookie or a key ends with it, or not at all', async () => {
  const jose = await import('jose');
  const [key, other] = [await createDpopKey(jose), await createDpopKey(jose)];
  const proof = (path: string, by = key) => by.proof('POST', `${service.baseUrl}${path}`);
  const { email, app } = await withTotp(service, client);
  const [path, verify] = ['/api/auth/login', '/api/auth/mfa/verify'];
  const headers = { ...ASK, dpop: await proof(path) };
  const first = await send(path, { headers, body: { email, password: PASSWORD } });
  const body = { mfa_token: first.json.mfa_token, factor: 'totp', code: app() };
  const given = (more: Record<string, string>) => send(verify, { headers: more, body });
  const refused = [
    await given({}),
    await given({ dpop: await proof(verify) }),
    await given(ASK),
    await given({ ...ASK, dpop: await proof(verify, other) }),
  ];
  expect(refused.map(({ status, json }) => [status, json.code])).toEqual([
    [400, 'invalid_refresh_token_mode'],
    [400, 'invalid_refresh_token_mode'],
    [400, 'invalid_dpop_proof'],
    [400, 'invalid_dpop_proof'],
  ]);
  // Neither the code nor the token was used up.
  const opened = await given({ ...ASK, dpop: await proof(verify) });
  expect(opened.status).toBe(200);
  const cookie = cookieOf(opened);
  expect((await refresh(cookie)).json.code).toBe('invalid_dpop_proof');
  expect((await refresh(cookie, { dpop: await proof(REFRESH) })).status).toBe(200);
});

test('the list of sessions shows the mode', async () => {
  const { token } = await signIn();
  const { json } = await client('GET', '/api/auth/sessions', { token });
  const modes = json.data.map((one: { refresh_token_mode: string }) => one.refresh_token_mode);
  expect(modes.sort()).toEqual(['cookie', 'json']);
});

test('a stored answer with a cookie is not repeated to a request that does not ask for it', async () => {
  const body = { name: 'Ada', email: uniqueEmail(), password: PASSWORD };
  const key = { 'idempotency-key': `"${uniqueEmail()}"`.replace('@', '-') };
  const path = '/api/auth/register';
  const first = await send(path, { headers: { ...ASK, ...key }, body });
  expect(first.status).toBe(201);
  const same = await send(path, { headers: { ...ASK, ...key }, body });
  expect([same.status, cookieOf(same)]).toEqual([201, cookieOf(first)]);
  const other = await client('POST', path, { headers: key, body });
  expect(codeOf(other)).toEqual([422, 'idempotency_key_reused', null]);
});

describe('CORS', () => {
  const preflight = async (origin: string, headers = 'content-type,refresh-token-mode,dpop') => {
    const answer = await fetch(`${service.baseUrl}/api/auth/login`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': headers,
      },
    });
    return answer.headers;
  };

  test('allows cookies, DPoP and the mode for the pages, and nothing for others', async () => {
    const page = await preflight(PAGE);
    expect(page.get('access-control-allow-origin')).toBe(PAGE);
    expect(page.get('access-control-allow-credentials')).toBe('true');
    expect(page.get('vary')).toContain('Origin');
    const names = page.get('access-control-allow-headers')?.split(',');
    expect(names).toEqual(expect.arrayContaining(['DPoP', 'Refresh-Token-Mode', 'Authorization']));
    const other = await preflight('https://attacker.test');
    expect(other.get('access-control-allow-origin')).toBeNull();
    expect(other.get('access-control-allow-credentials')).toBeNull();
  });

  test('CORS_ORIGINS=* allows no cookies', async () => {
    const open = await startTestService({ BROWSER_ORIGINS: PAGE, CORS_ORIGINS: '*' }, mongo);
    try {
      const headersFor = async (origin: string) => {
        const { headers } = await fetch(`${open.baseUrl}/api/auth/profile`, {
          headers: { origin },
        });
        return ['origin', 'credentials'].map((name) => headers.get(`access-control-allow-${name}`));
      };
      expect(await headersFor(PAGE)).toEqual([PAGE, 'true']);
      expect(await headersFor('https://any.test')).toEqual(['https://any.test', null]);
    } finally {
      await open.close();
    }
  });
});

test('without BROWSER_ORIGINS there are no cookies', async () => {
  const off = await startTestService({}, mongo);
  try {
    const by = createClient(off.baseUrl);
    const { email, cookie, token } = await signIn();
    const body = { email, password: PASSWORD };
    expect(codeOf(await send('/api/auth/login', { headers: ASK, body }, by))).toEqual(FORBIDDEN);
    expect((await send(REFRESH, { cookie, body: {} }, by)).status).toBe(422);
    expect((await send(LOGOUT, { cookie }, by)).json.code).toBe('missing_token');
    expect(await isSignedIn(token)).toBe(true);
  } finally {
    await off.close();
  }
});
