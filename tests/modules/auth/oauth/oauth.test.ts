import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';

const ISSUER = 'http://auth.example.test';
let service: TestService;
let client: Client;
let oauth: typeof import('oauth4webapi');
let jose: typeof import('jose');
let admin: string;

beforeAll(async () => {
  [oauth, jose] = await Promise.all([import('oauth4webapi'), import('jose')]);
  service = await startTestService({
    JWT_SECRET: '',
    KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5),
    PUBLIC_URL: `${ISSUER}/`,
  });
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

/** The library calls the public address; the service listens elsewhere. */
const options = () => ({
  [oauth.allowInsecureRequests]: true,
  [oauth.customFetch]: (url: string, init: RequestInit) =>
    fetch(url.replace(ISSUER, service.baseUrl), init),
});
async function discover() {
  const issuer = new URL(ISSUER);
  return oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...(options() as object) }),
  );
}
const create = (body: unknown, token = admin) =>
  client('POST', '/api/service-accounts', { token, body });
async function account(scopes: string[]) {
  const answer = await create({ name: 'Nightly report', scopes });
  expect(answer.status).toBe(201);
  return answer.json as { id: string; client_secret: string; secret_prefix: string };
}
const form = (path: string, fields: string, headers: Record<string, string> = {}) =>
  client('POST', path, {
    raw: fields,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });

describe('discovery', () => {
  test('a strict client accepts the metadata, and the keys are public and cacheable', async () => {
    const metadata = await discover();
    expect(metadata.token_endpoint).toBe(`${ISSUER}/api/auth/token`);
    const jwks = await client('GET', '/.well-known/jwks.json');
    expect(jwks.headers.get('cache-control')).toMatch(/^public, max-age=\d+/);
    expect(jwks.json.keys).toHaveLength(1);
    expect(jwks.json.keys[0]).toEqual({
      kty: 'EC',
      crv: 'P-256',
      x: expect.any(String),
      y: expect.any(String),
      kid: expect.any(String),
      alg: 'ES256',
      use: 'sig',
    });
  });

  test('a resource server verifies our tokens with only the published keys', async () => {
    const keys = jose.createRemoteJWKSet(new URL(`${service.baseUrl}/.well-known/jwks.json`));
    const { access_token, user } = await register(client);
    const { payload, protectedHeader } = await jose.jwtVerify(access_token, keys, {
      issuer: ISSUER,
      audience: 'api',
      typ: 'at+jwt',
    });
    expect(payload.sub).toBe(user.id);
    expect(protectedHeader.alg).toBe('ES256');
  });
});

describe('the token endpoint with a strict client', () => {
  test('grant refresh_token', async () => {
    const metadata = await discover();
    const { refresh_token } = await register(client);
    const app = { client_id: 'some-app' };
    const response = await oauth.refreshTokenGrantRequest(
      metadata,
      app,
      oauth.None(),
      refresh_token,
      options() as object,
    );
    const pair = await oauth.processRefreshTokenResponse(metadata, app, response);
    expect((await client('GET', '/api/auth/profile', { token: pair.access_token })).status).toBe(
      200,
    );
    const again = await oauth.refreshTokenGrantRequest(
      metadata,
      app,
      oauth.None(),
      'A'.repeat(80),
      options() as object,
    );
    await expect(oauth.processRefreshTokenResponse(metadata, app, again)).rejects.toMatchObject({
      error: 'invalid_grant',
      status: 400,
    });
  });

  test.each(['ClientSecretBasic', 'ClientSecretPost'] as const)(
    'grant client_credentials with %s',
    async (method) => {
      const metadata = await discover();
      const { id, client_secret } = await account(['users:read']);
      const app = { client_id: id };
      const request = (secret: string, scope: string) =>
        oauth.clientCredentialsGrantRequest(
          metadata,
          app,
          oauth[method](secret),
          new URLSearchParams({ scope }),
          options() as object,
        );
      const token = await oauth.processClientCredentialsResponse(
        metadata,
        app,
        await request(client_secret, 'users:read'),
      );
      expect(token).toMatchObject({ token_type: 'bearer', scope: 'users:read', expires_in: 900 });
      expect(token.refresh_token).toBeUndefined();
      expect((await client('GET', '/api/users', { token: token.access_token })).status).toBe(200);

      await expect(
        oauth.processClientCredentialsResponse(
          metadata,
          app,
          await request(client_secret, 'users:write'),
        ),
      ).rejects.toMatchObject({
        error: 'invalid_scope',
      });
      await expect(
        oauth.processClientCredentialsResponse(
          metadata,
          app,
          await request(`${client_secret}x`, 'users:read'),
        ),
      ).rejects.toMatchObject({ status: 401 });
    },
  );

  test('revocation and introspection', async () => {
    const metadata = await discover();
    const { id, client_secret } = await account(['tokens:introspect']);
    const app = { client_id: id };
    const authentication = oauth.ClientSecretBasic(client_secret);
    const introspect = async (token: string) =>
      oauth.processIntrospectionResponse(
        metadata,
        app,
        await oauth.introspectionRequest(metadata, app, authentication, token, options() as object),
      );
    const { access_token, refresh_token, user } = await register(client);
    expect(await introspect(access_token)).toMatchObject({
      active: true,
      sub: user.id,
      iss: ISSUER,
      aud: 'api',
      token_type: 'Bearer',
      role: 'user',
    });
    expect(await introspect(refresh_token)).toMatchObject({ active: true, sub: user.id });
    expect(await introspect('nonsense')).toEqual({ active: false });

    await oauth.processRevocationResponse(
      await oauth.revocationRequest(
        metadata,
        app,
        authentication,
        refresh_token,
        options() as object,
      ),
    );
    expect(await introspect(refresh_token)).toEqual({ active: false });
    expect(await introspect(access_token)).toEqual({ active: false });
    expect((await client('GET', '/api/auth/profile', { token: access_token })).status).toBe(401);
    // Twice is no fault, and neither is a token that never was.
    for (const token of [refresh_token, 'nonsense']) {
      await oauth.processRevocationResponse(
        await oauth.revocationRequest(metadata, app, authentication, token, options() as object),
      );
    }
  });
});

describe('the endpoints with hand-made requests', () => {
  test.each([
    ['', 400, 'invalid_request'],
    ['grant_type=', 400, 'invalid_request'],
    ['grant_type=password&username=a&password=b', 400, 'unsupported_grant_type'],
    ['grant_type=refresh_token', 400, 'invalid_request'],
    ['grant_type=refresh_token&grant_type=refresh_token&refresh_token=x', 400, 'invalid_request'],
    ['grant_type=refresh_token&refresh_token=x&scope=users:read', 400, 'invalid_scope'],
    ['grant_type=client_credentials', 401, 'invalid_client'],
    [
      'grant_type=client_credentials&client_id=652f1c3e9b1d4a0012ab34cd&client_secret=x',
      401,
      'invalid_client',
    ],
    ['grant_type=client_credentials&client_id=__proto__&client_secret=x', 401, 'invalid_client'],
    ['grant_type=client_credentials&client_id=652f1c3e9b1d4a0012ab34cd', 401, 'invalid_client'],
  ])('%s: %i %s', async (fields, status, error) => {
    const answer = await form('/api/auth/token', fields);
    expect([answer.status, answer.json.error]).toEqual([status, error]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    if (status === 401) expect(answer.headers.get('www-authenticate')).toMatch(/^Basic /);
  });

  test('a JSON body is refused (RFC 6749)', async () => {
    expect(
      (await client('POST', '/api/auth/token', { body: { grant_type: 'refresh_token' } })).status,
    ).toBe(415);
  });

  test('two methods of client authentication and a malformed header are refused', async () => {
    const { id, client_secret } = await account(['users:read']);
    const basic = `Basic ${Buffer.from(`${id}:${client_secret}`).toString('base64')}`;
    const twice = await form(
      '/api/auth/token',
      `grant_type=client_credentials&client_secret=${client_secret}`,
      { authorization: basic },
    );
    expect(twice.json.error).toBe('invalid_request');
    for (const authorization of [
      'Basic !!!',
      'Basic',
      'Bearer abc',
      `Basic ${Buffer.from('%zz:%zz').toString('base64')}`,
    ]) {
      expect(
        (await form('/api/auth/token', 'grant_type=client_credentials', { authorization })).status,
      ).toBe(401);
    }
  });

  test('introspection needs the scope', async () => {
    const { id, client_secret } = await account(['users:read']);
    expect(
      (await form('/api/auth/introspect', `token=x&client_id=${id}&client_secret=${client_secret}`))
        .status,
    ).toBe(401);
    expect((await form('/api/auth/introspect', 'token=x')).status).toBe(401);
  });
});

describe('service accounts', () => {
  const tokenOf = async ({ id, client_secret }: { id: string; client_secret: string }) =>
    (
      await form(
        '/api/auth/token',
        `grant_type=client_credentials&client_id=${id}&client_secret=${client_secret}`,
      )
    ).json.access_token as string;

  test('may use their scopes and nothing else', async () => {
    const reader = await tokenOf(await account(['users:read']));
    const { user } = await register(client);
    expect((await client('GET', `/api/users/${user.id}`, { token: reader })).json.id).toBe(user.id);
    const denied = await client('DELETE', `/api/users/${user.id}`, { token: reader });
    expect([denied.status, denied.json.code]).toEqual([403, 'insufficient_scope']);
    expect(denied.headers.get('www-authenticate')).toMatch(
      /error="insufficient_scope", scope="users:write"/,
    );
    for (const [method, path] of [
      ['GET', '/api/auth/profile'],
      ['GET', '/api/auth/sessions'],
      ['POST', '/api/auth/logout'],
      ['GET', '/api/service-accounts'],
      ['GET', '/api/audit-events'],
    ] as const) {
      expect([path, (await client(method, path, { token: reader })).status]).toEqual([path, 403]);
    }
    const writer = await tokenOf(await account(['users:write']));
    expect((await client('DELETE', `/api/users/${user.id}`, { token: writer })).status).toBe(204);
    const auditor = await tokenOf(await account(['audit:read']));
    expect((await client('GET', '/api/audit-events', { token: auditor })).status).toBe(200);
  });

  test('may neither change nor create administrators, whatever their scopes', async () => {
    const writer = await tokenOf(
      await account(['users:read', 'users:write', 'audit:read', 'tokens:introspect']),
    );
    const { user } = await register(client);
    const me = (await client('GET', '/api/auth/profile', { token: admin })).json;
    const fresh = { name: 'Mallory', email: uniqueEmail('mallory'), password: PASSWORD };
    for (const [method, path, body] of [
      ['POST', '/api/users', { ...fresh, role: 'admin' }],
      ['PATCH', `/api/users/${user.id}`, { role: 'admin' }],
      ['PATCH', `/api/users/${me.id}`, { email: uniqueEmail('mallory') }],
      ['PUT', `/api/users/${me.id}`, { name: me.name, email: me.email, role: 'user' }],
      ['DELETE', `/api/users/${me.id}`, undefined],
    ] as const) {
      const answer = await client(method, path, { token: writer, body });
      expect([method, path, answer.status, answer.json?.code]).toEqual([
        method,
        path,
        403,
        'administrators_only',
      ]);
    }
    expect((await client('GET', `/api/users/${me.id}`, { token: admin })).json).toEqual(me);
    expect((await client('POST', '/api/users', { token: writer, body: fresh })).status).toBe(201);
    expect(
      (
        await client('PATCH', `/api/users/${user.id}`, {
          token: writer,
          body: { name: 'Renamed', role: 'user' },
        })
      ).status,
    ).toBe(200);
  });

  test('are created only by administrators, with a secret that is shown once and stored hashed', async () => {
    const { access_token: token } = await register(client);
    expect((await create({ name: 'x', scopes: ['users:read'] }, token)).status).toBe(403);
    for (const body of [
      { name: 'x', scopes: [] },
      { name: 'x', scopes: ['everything'] },
      { name: 'x' },
      { name: 'x', scopes: ['users:read'], id: 'y' },
    ]) {
      expect((await create(body)).status).toBe(422);
    }
    const { client_secret, id, secret_prefix } = await account(['users:read']);
    expect(client_secret.startsWith(secret_prefix)).toBe(true);
    const list = await client('GET', '/api/service-accounts', { token: admin });
    expect(list.json.data.find((one: { id: string }) => one.id === id)).toMatchObject({
      secret_prefix,
      scopes: ['users:read'],
    });
    expect(list.text).not.toContain(client_secret);
    const stored = JSON.stringify(
      await service.database.connection.collection('service_accounts').find().toArray(),
    );
    expect(stored).not.toContain(client_secret.slice(secret_prefix.length));
  });

  test('end with their tokens as soon as they are revoked', async () => {
    const one = await account(['users:read']);
    const token = await tokenOf(one);
    expect((await client('GET', '/api/users', { token })).status).toBe(200);
    expect(
      (await client('DELETE', `/api/service-accounts/${one.id}`, { token: admin })).status,
    ).toBe(204);
    expect((await client('GET', '/api/users', { token })).status).toBe(401);
    expect(await tokenOf(one)).toBeUndefined();
    expect(
      (await client('DELETE', `/api/service-accounts/${one.id}`, { token: admin })).status,
    ).toBe(404);
    const path = `/api/audit-events?subject=${one.id}&type=service_account_revoked`;
    await eventually('one audit event', async () => {
      const { data } = (await client('GET', path, { token: admin })).json;
      return data.length === 1;
    });
  });
});

describe('the audit log', () => {
  test('records actor, event, client and result, page by page, and no secret', async () => {
    const email = `audit-${Date.now()}@example.org`;
    const { user, password, refresh_token } = await register(client, { email });
    await client('POST', '/api/auth/login', {
      body: { email, password: 'wrong password' },
      headers: { 'x-request-id': 'find-me', 'user-agent': 'probe/1' },
    });
    await login(client, email, password);
    const all = await eventually('three events', async () => {
      const answer = await client('GET', `/api/audit-events?subject=${user.id}`, { token: admin });
      return answer.json.data.length >= 3 && answer.json;
    });
    expect(
      all.data.map((one: { type: string; result: string }) => `${one.type} ${one.result}`),
    ).toEqual(['login success', 'login failure', 'registered success']);
    expect(all.data[1]).toEqual({
      id: expect.any(String),
      at: expect.any(String),
      type: 'login',
      result: 'failure',
      reason: 'wrong_password',
      actor: null,
      subject: user.id,
      session: null,
      impersonated: null,
      job: null,
      note: null,
      token_id: null,
      network: '127.0.0.1',
      user_agent: 'probe/1',
      request_id: 'find-me',
    });

    const pages: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const answer: Awaited<ReturnType<Client>> = await client(
        'GET',
        `/api/audit-events?subject=${user.id}&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`,
        { token: admin },
      );
      expect(answer.json.data).toHaveLength(1);
      pages.push(answer.json.data[0].id);
      cursor = answer.json.next_cursor;
      expect(answer.json.has_more).toBe(cursor !== null);
    }
    expect(pages).toEqual(all.data.map(({ id }: { id: string }) => id));

    const stored = JSON.stringify(
      await service.database.connection.collection('audit_events').find().toArray(),
    );
    for (const secret of [password, 'wrong password', refresh_token, email])
      expect(stored).not.toContain(secret);
  });

  test('is for administrators only, and validates its parameters', async () => {
    const { access_token: token } = await register(client);
    expect((await client('GET', '/api/audit-events', { token })).status).toBe(403);
    for (const query of [
      'limit=0',
      'limit=101',
      'cursor=abc',
      'type=nonsense',
      'subject=x',
      'from=1',
    ]) {
      expect([
        query,
        (await client('GET', `/api/audit-events?${query}`, { token: admin })).status,
      ]).toEqual([query, 400]);
    }
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      expect((await client(method, '/api/audit-events', { token: admin })).status).toBe(405);
  });
});
