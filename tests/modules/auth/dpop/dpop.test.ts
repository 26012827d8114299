import { startTestService, type TestService } from '../../../support/app';
import { createDpopKey, type DpopKey } from '../../../support/dpop';
import {
  type Answer,
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const ISSUER = 'http://auth.example.test/base';
let mongo: TestMongo;
/** Two hosts on one database. */
let services: TestService[];
let client: Client;
let otherHost: Client;
let jose: typeof import('jose');
let oauth: typeof import('oauth4webapi');
let key: DpopKey;

beforeAll(async () => {
  [jose, oauth, mongo] = await Promise.all([
    import('jose'),
    import('oauth4webapi'),
    startTestMongo(),
  ]);
  const settings = { PUBLIC_URL: ISSUER };
  services = [await startTestService(settings, mongo), await startTestService(settings, mongo)];
  [client, otherHost] = services.map(({ baseUrl }) => createClient(baseUrl)) as [Client, Client];
  key = await createDpopKey(jose);
});
afterAll(async () => {
  await Promise.all((services ?? []).map((one) => one.close()));
  await mongo?.close();
});

const proof = (path: string, by = key, claims: object = {}) =>
  by.proof('POST', `${ISSUER}${path}`, { claims });
const post = (path: string, body: unknown, dpop?: string, host = client): Promise<Answer> =>
  host('POST', path, { body, headers: dpop === undefined ? {} : { dpop } });
const REFRESH = '/api/auth/refresh';
const refresh = (token: string, dpop?: string, host?: Client) =>
  post(REFRESH, { refresh_token: token }, dpop, host);

/** A new account, and a login of it that is bound to the key. */
async function boundLogin() {
  const email = uniqueEmail('bound');
  await register(client, { email });
  const answer = await post(
    '/api/auth/login',
    { email, password: PASSWORD },
    await proof('/api/auth/login'),
  );
  expect(answer.status).toBe(200);
  return answer.json as { access_token: string; refresh_token: string; token_type: string };
}
const codeOf = ({ status, json }: Answer) => [status, json.code];
const INVALID_PROOF = [400, 'invalid_dpop_proof'];
const INVALID_TOKEN = [401, 'invalid_refresh_token'];

test('a bound session refreshes with a new proof of its key each time, on any host', async () => {
  const login = await boundLogin();
  expect(login.token_type).toBe('Bearer');
  expect((await client('GET', '/api/auth/profile', { token: login.access_token })).status).toBe(
    200,
  );
  const first = await refresh(login.refresh_token, await proof(REFRESH));
  expect([first.status, first.json.token_type]).toEqual([200, 'Bearer']);
  const second = await refresh(first.json.refresh_token, await proof(REFRESH), otherHost);
  expect(second.status).toBe(200);
});

test('a stolen refresh token is worth nothing without the key, and the session stays', async () => {
  const { refresh_token } = await boundLogin();
  const thief = await createDpopKey(jose);
  expect(codeOf(await refresh(refresh_token))).toEqual(INVALID_PROOF);
  expect(codeOf(await refresh(refresh_token, await proof(REFRESH, thief)))).toEqual(INVALID_TOKEN);
  const owner = await refresh(refresh_token, await proof(REFRESH));
  expect(owner.status).toBe(200);
  // A used token that was stolen does not even end the session.
  expect(codeOf(await refresh(refresh_token, await proof(REFRESH, thief)))).toEqual(INVALID_TOKEN);
  expect((await refresh(owner.json.refresh_token, await proof(REFRESH))).status).toBe(200);
});

test('a bound token is revoked with a proof of its key only', async () => {
  const path = '/api/auth/revoke';
  const { access_token: token, refresh_token } = await boundLogin();
  const thief = await createDpopKey(jose);
  const revoke = (dpop?: string) =>
    client('POST', path, {
      raw: `token=${refresh_token}`,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        ...(dpop !== undefined && { dpop }),
      },
    });
  const isSignedIn = async () => (await client('GET', '/api/auth/profile', { token })).status;
  const errorOf = ({ status, json }: Answer) => [status, json.error];
  expect(errorOf(await revoke())).toEqual([400, 'invalid_dpop_proof']);
  expect(errorOf(await revoke(await proof(path, thief)))).toEqual([400, 'invalid_grant']);
  expect(await isSignedIn()).toBe(200);
  expect((await revoke(await proof(path))).status).toBe(200);
  expect(await isSignedIn()).toBe(401);
});

test('a stolen token that is refused is on record once an hour, with its session', async () => {
  const { access_token, refresh_token } = await boundLogin();
  const thief = await createDpopKey(jose);
  await Promise.all(
    [client, otherHost, client, otherHost].map(async (host) =>
      refresh(refresh_token, await proof(REFRESH, thief), host),
    ),
  );
  expect(codeOf(await refresh(refresh_token))).toEqual(INVALID_PROOF);
  const { email, password } = (services[0] as TestService).admin;
  const token = await login(client, email, password);
  const { sub, sid } = jose.decodeJwt(access_token);
  const query = `subject=${sub}&type=refresh_refused`;
  const events = await eventually('the event', async () => {
    const { json } = await client('GET', `/api/audit-events?${query}`, { token });
    return json.data.length > 0 && json.data;
  });
  expect(events).toEqual([
    expect.objectContaining({ result: 'failure', reason: 'other_key', session: sid }),
  ]);
});

test('reuse of a token by the owner of the key is detected as before', async () => {
  const { refresh_token } = await boundLogin();
  const first = await refresh(refresh_token, await proof(REFRESH));
  // Within the grace window a repeat gets the same answer, with a proof of its own.
  const repeat = await refresh(refresh_token, await proof(REFRESH));
  expect(repeat.text).toBe(first.text);
  const sessions = services[0]?.database.connection.collection('sessions');
  await sessions?.updateMany({}, { $set: { used: [] } });
  expect(codeOf(await refresh(refresh_token, await proof(REFRESH)))).toEqual([
    401,
    'refresh_token_reused',
  ]);
  expect(codeOf(await refresh(first.json.refresh_token, await proof(REFRESH)))).toEqual(
    INVALID_TOKEN,
  );
});

test('of many uses of one proof at once on two hosts, one succeeds', async () => {
  const { refresh_token } = await boundLogin();
  const once = await proof(REFRESH);
  const answers = await Promise.all(
    [client, otherHost, client, otherHost, client, otherHost].map((host) =>
      refresh(refresh_token, once, host),
    ),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  const refused = answers.filter(({ status }) => status !== 200);
  expect(refused.map(codeOf)).toEqual(refused.map(() => INVALID_PROOF));
  expect(refused[0]?.json.detail).toContain('used before');
});

test.each([
  ['for another path', () => proof('/api/auth/login')],
  ['for another method', () => key.proof('GET', `${ISSUER}${REFRESH}`)],
  [
    'for the address behind the proxy',
    () => key.proof('POST', `${services[0]?.baseUrl}${REFRESH}`),
  ],
  ['with an old iat', () => proof(REFRESH, key, { iat: Math.floor(Date.now() / 1000) - 600 })],
  ['with an iat to come', () => proof(REFRESH, key, { iat: Math.floor(Date.now() / 1000) + 600 })],
  ['that is a text', () => 'no proof'],
  ['that is huge', () => 'A'.repeat(10_000)],
])('a proof %s is refused, and the token stays good', async (_name, make) => {
  const { refresh_token } = await boundLogin();
  expect(codeOf(await refresh(refresh_token, await make()))).toEqual(INVALID_PROOF);
  expect((await refresh(refresh_token, await proof(REFRESH))).status).toBe(200);
});

test('a session that is not bound needs no proof, and a refresh does not bind it', async () => {
  const { refresh_token } = await register(client);
  const first = await refresh(refresh_token, await proof(REFRESH));
  expect(first.status).toBe(200);
  expect(codeOf(await refresh(first.json.refresh_token, 'no proof'))).toEqual(INVALID_PROOF);
  expect((await refresh(first.json.refresh_token)).status).toBe(200);
});

test('only owners of a bound key write to the store of used proofs', async () => {
  const proofs = services[0]?.database.connection.collection('dpop_proofs');
  const { refresh_token } = await register(client);
  const bound = await boundLogin();
  const before = await proofs?.countDocuments();
  const stranger = await createDpopKey(jose);
  await refresh(refresh_token, await proof(REFRESH, stranger));
  await refresh('A'.repeat(80), await proof(REFRESH, stranger));
  await refresh(bound.refresh_token, await proof(REFRESH, stranger));
  expect(await proofs?.countDocuments()).toBe(before);
  const indexes = await proofs?.indexes();
  expect(indexes).toContainEqual(
    expect.objectContaining({ key: { until: 1 }, expireAfterSeconds: 0 }),
  );
});

test('a wrong proof at the registration creates no account', async () => {
  const body = { name: 'Ada', email: uniqueEmail('proof'), password: PASSWORD };
  expect(codeOf(await post('/api/auth/register', body, 'no proof'))).toEqual(INVALID_PROOF);
  const path = '/api/auth/register';
  const registered = await post(path, body, await proof(path));
  expect(registered.status).toBe(201);
  expect(codeOf(await refresh(registered.json.refresh_token))).toEqual(INVALID_PROOF);
});

test('the tokens of a changed password are bound to the same key', async () => {
  const { access_token } = await boundLogin();
  const changed = await client('PATCH', '/api/auth/password', {
    token: access_token,
    body: { current_password: PASSWORD, new_password: 'a brand new password' },
  });
  expect(changed.status).toBe(200);
  expect(codeOf(await refresh(changed.json.refresh_token))).toEqual(INVALID_PROOF);
  expect((await refresh(changed.json.refresh_token, await proof(REFRESH))).status).toBe(200);
});

test('the export of personal data has the key of a bound session', async () => {
  const { access_token } = await boundLogin();
  const { json } = await client('GET', '/api/users/me/export', { token: access_token });
  const keys = json.sessions.map((one: { dpop_key: string | null }) => one.dpop_key);
  expect(keys).toEqual(expect.arrayContaining([null, key.thumbprint]));
});

test('the list of sessions shows which are bound', async () => {
  const { access_token } = await boundLogin();
  const { json } = await client('GET', '/api/auth/sessions', { token: access_token });
  const bound = json.data.map((one: { dpop_bound: boolean }) => one.dpop_bound);
  expect(bound.sort()).toEqual([false, true]);
});

interface Operation {
  readonly security: readonly object[];
  readonly parameters: readonly { readonly $ref?: string }[];
  readonly responses: Readonly<Record<string, { readonly headers?: object }>>;
}
interface Document {
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** The operations that answer with a refresh token, with the responses that have it. */
async function issuing(): Promise<[name: string, operation: Operation, statuses: string[]][]> {
  const document = (await client('GET', '/openapi.json')).json as Document;
  const hasToken = (value: unknown): boolean => {
    const text = JSON.stringify(value);
    const names = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    return (
      text.includes('"refresh_token"') ||
      names.some((name) => hasToken(document.components.schemas[name ?? '']))
    );
  };
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, operation]) => {
      const statuses = Object.entries(operation.responses)
        .filter(([status, response]) => status.startsWith('2') && hasToken(response))
        .map(([status]) => status);
      const name = `${method.toUpperCase()} ${path}`;
      return statuses.length === 0 ? [] : [[name, operation, statuses] as never];
    }),
  );
}

test('every operation that opens a session reads the proof and the mode', async () => {
  const operations = (await issuing()).filter(([name]) => name !== 'POST /api/auth/token');
  const opening = operations.filter(
    ([name, { security }]) =>
      !security.some((one) => 'bearer' in one) && name !== `POST ${REFRESH}`,
  );
  expect(opening.map(([name]) => name)).toEqual(
    expect.arrayContaining(['POST /api/auth/register', 'POST /api/auth/login']),
  );
  for (const [name, { parameters }] of opening) {
    const read = parameters.map(({ $ref }) => $ref?.split('/').at(-1));
    expect([name, read]).toEqual([name, expect.arrayContaining(['DPoP', 'Refresh-Token-Mode'])]);
    // Before the body is read: no operation can forget it.
    const [method = '', path = ''] = name.split(' ');
    const answer = await client(method, path, { body: {}, headers: { dpop: 'no proof' } });
    expect([name, ...codeOf(answer)]).toEqual([name, ...INVALID_PROOF]);
  }
  // And every one may store the cookie.
  for (const [name, { responses }, statuses] of operations)
    for (const status of statuses)
      expect([name, Object.keys(responses[status]?.headers ?? {})]).toEqual([
        name,
        expect.arrayContaining(['Set-Cookie']),
      ]);
});

describe('the token endpoint with a strict client', () => {
  const options = () => ({
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: (url: string, init: RequestInit) =>
      fetch(url.replace(ISSUER, services[0]?.baseUrl ?? ''), init),
  });
  const app = { client_id: 'some-app' };

  test('oauth4webapi discovers DPoP, and refreshes with its proofs', async () => {
    const issuer = new URL(ISSUER);
    const found = await client('GET', '/.well-known/oauth-authorization-server');
    const metadata = { ...(found.json as object), issuer: issuer.href } as {
      issuer: string;
      dpop_signing_alg_values_supported: string[];
    };
    expect(metadata.dpop_signing_alg_values_supported).toEqual(
      expect.arrayContaining(['ES256', 'EdDSA']),
    );
    const { refresh_token } = await boundLogin();
    const handle = oauth.DPoP({}, key.pair);
    const grant = (token: string, DPoP?: ReturnType<typeof oauth.DPoP>) =>
      oauth
        .refreshTokenGrantRequest(metadata, app, oauth.None(), token, {
          ...(options() as object),
          ...(DPoP && { DPoP }),
        })
        .then((response) => oauth.processRefreshTokenResponse(metadata, app, response));
    const tokens = await grant(refresh_token, handle);
    expect(tokens.token_type).toBe('bearer');
    await expect(grant(tokens.refresh_token ?? '')).rejects.toMatchObject({
      ...{ error: 'invalid_dpop_proof', status: 400 },
    });
    const thief = oauth.DPoP({}, await oauth.generateKeyPair('ES256'));
    await expect(grant(tokens.refresh_token ?? '', thief)).rejects.toMatchObject({
      ...{ error: 'invalid_grant', status: 400 },
    });
    expect((await grant(tokens.refresh_token ?? '', handle)).access_token).toBeDefined();
  });
});
