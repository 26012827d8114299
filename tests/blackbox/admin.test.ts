import { randomBytes } from 'node:crypto';
import { type Client, createClient, login, PASSWORD } from '../support/http';
import { openTarget, type Target } from './target';

let target: Target;
let client: Client;
let token: string;
beforeAll(async () => {
  target = await openTarget();
  client = createClient(target.baseUrl);
  token = await login(client, target.admin.email, target.admin.password);
});
afterAll(() => target?.close());

test('an administrator creates users, pages through them, changes and deletes them', async () => {
  const group = `Group${randomBytes(4).toString('hex')}`;
  const ids: string[] = [];
  for (let i = 0; i < 7; i += 1) {
    const body = { name: `${group} ${i}`, email: `${group}.${i}@example.org`, password: PASSWORD };
    const { status, json, headers } = await client('POST', '/api/users', { token, body });
    expect([status, headers.get('location')]).toEqual([201, `/api/users/${json?.id}`]);
    ids.push(json.id as string);
  }

  const seen: string[] = [];
  for (let path: string | undefined = `/api/users?q=${group}&limit=3`; path !== undefined; ) {
    const { status, json, headers }: Awaited<ReturnType<Client>> = await client('GET', path, {
      token,
    });
    expect(status).toBe(200);
    seen.push(...(json.data as { id: string }[]).map(({ id }) => id));
    path = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    expect(path === undefined).toBe(!json.has_more);
  }
  expect(seen).toEqual(ids);
  const counted = await client('GET', `/api/users?q=${group}&count=true&limit=1`, { token });
  expect([counted.json.total, counted.json.total_capped]).toEqual([7, false]);

  const [first = '', second = ''] = ids;
  const user = await login(client, `${group}.0@example.org`, PASSWORD);
  const replaced = await client('PUT', `/api/users/${first}`, {
    token,
    body: { name: 'New Name', email: `${group}.new@example.org`, role: 'user' },
  });
  expect([replaced.status, replaced.json.name, replaced.json.email]).toEqual([
    200,
    'New Name',
    `${group}.new@example.org`,
  ]);
  const taken = await client('PATCH', `/api/users/${second}`, {
    token,
    body: { email: `${group}.new@example.org` },
  });
  expect([taken.status, taken.json.code]).toEqual([409, 'email_taken']);

  expect((await client('DELETE', `/api/users/${first}`, { token })).status).toBe(204);
  expect((await client('GET', '/api/auth/profile', { token: user })).status).toBe(401);
  for (const method of ['GET', 'DELETE']) {
    expect((await client(method, `/api/users/${first}`, { token })).status).toBe(404);
  }
  for (const id of ids.slice(1))
    expect((await client('DELETE', `/api/users/${id}`, { token })).status).toBe(204);
  expect((await client('GET', `/api/users?q=${group}`, { token })).json.data).toEqual([]);
});

test('a service account acts within its scopes, until it is revoked', async () => {
  const account = await client('POST', '/api/service-accounts', {
    token,
    body: { name: 'Reports', scopes: ['users:read'] },
  });
  expect(account.status).toBe(201);
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: account.json.id,
    client_secret: account.json.client_secret,
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const { status, json } = await client('POST', '/api/auth/token', {
    raw: form.toString(),
    headers,
  });
  expect([status, json.token_type]).toEqual([200, 'Bearer']);
  const machine = json.access_token as string;
  expect((await client('GET', '/api/users?limit=1', { token: machine })).status).toBe(200);
  expect(
    (await client('DELETE', '/api/users/652f1c3e9b1d4a0012ab34cd', { token: machine })).status,
  ).toBe(403);
  expect(
    (await client('DELETE', `/api/service-accounts/${account.json.id}`, { token })).status,
  ).toBe(204);
  expect((await client('GET', '/api/users?limit=1', { token: machine })).status).toBe(401);
});

test('faults of a request have one form', async () => {
  const cases: [number, string, Parameters<Client>][] = [
    [400, 'malformed_json', ['POST', '/api/auth/login', { raw: '{"email":' }]],
    [400, 'invalid_query', ['GET', '/api/users?nonsense=1', { token }]],
    [400, 'invalid_path_parameter', ['GET', '/api/users/nobody', { token }]],
    [401, 'missing_token', ['GET', '/api/auth/profile']],
    [401, 'invalid_token', ['GET', '/api/auth/profile', { token: 'a.b.c' }]],
    [404, 'route_not_found', ['GET', '/api/nowhere']],
    [404, 'user_not_found', ['GET', '/api/users/652f1c3e9b1d4a0012ab34cd', { token }]],
    [405, 'method_not_allowed', ['DELETE', '/api/auth/login']],
    [
      406,
      'not_acceptable',
      ['GET', '/api/auth/profile', { token, headers: { accept: 'image/png' } }],
    ],
    [413, 'body_too_large', ['POST', '/api/auth/login', { raw: `"${'x'.repeat(200_000)}"` }]],
    [
      415,
      'unsupported_media_type',
      ['POST', '/api/auth/login', { raw: 'x', headers: { 'content-type': 'text/plain' } }],
    ],
    [
      422,
      'validation_failed',
      ['POST', '/api/auth/register', { body: { name: '', email: 'x', password: 'short' } }],
    ],
  ];
  for (const [status, code, request] of cases) {
    const answer = await client(...request);
    expect([answer.status, answer.json?.code, answer.headers.get('content-type')]).toEqual([
      status,
      code,
      'application/problem+json',
    ]);
    expect(answer.json).toMatchObject({
      title: expect.any(String),
      status,
      instance: expect.stringMatching(/^urn:request:/),
    });
    if (status === 401) expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer /);
    if (status === 405) expect(answer.headers.get('allow')).toBe('POST, OPTIONS');
  }
});

test('health, documentation and keys', async () => {
  for (const path of ['/livez', '/readyz', '/health'])
    expect((await client('GET', path)).status).toBe(200);
  expect((await client('GET', '/openapi.json')).json.openapi).toMatch(/^3\.1\./);
  expect((await client('GET', '/docs')).headers.get('content-type')).toMatch(/^text\/html/);
  expect((await client('GET', '/.well-known/jwks.json')).json.keys).toEqual(expect.any(Array));
});
