import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, login, register } from '../../support/http';

let service: TestService;
let client: Client;

beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const PROBLEM = 'application/problem+json';

function expectProblem(answer: Awaited<ReturnType<Client>>, status: number, code: string) {
  expect([answer.status, answer.headers.get('content-type'), answer.json?.code]).toEqual([
    status,
    PROBLEM,
    code,
  ]);
  expect(answer.json).toMatchObject({
    type: `urn:problem:${code}`,
    title: expect.any(String),
    status,
    instance: `urn:request:${answer.headers.get('x-request-id')}`,
  });
}

test('an unknown route: 404', async () => {
  expectProblem(await client('GET', '/api/nothing'), 404, 'route_not_found');
  expectProblem(await client('GET', '/api/users/%E0%A4%A'), 400, 'malformed_path');
});

/** Sends a raw request target that fetch would not send. */
async function sendTarget(target: string): Promise<string> {
  const { hostname, port } = new URL(service.baseUrl);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  return (await socket.setEncoding('utf8').toArray()).join('');
}

test('a target that is no URL gets 404; one in absolute form is routed', async () => {
  const bad = await sendTarget('http://[::1');
  expect(bad).toMatch(/^HTTP\/1\.1 404 /);
  expect(bad).toContain(`Content-Type: ${PROBLEM}`);
  expect(bad).toMatch(/X-Request-Id: [0-9a-f-]{36}/);
  expect(bad).toContain('"code":"route_not_found"');
  expect(await sendTarget('http://example.org/livez')).toMatch(/^HTTP\/1\.1 200 /);
});

test('an unsupported method: 405 with Allow; OPTIONS: 204', async () => {
  const answer = await client('DELETE', '/api/auth/login');
  expectProblem(answer, 405, 'method_not_allowed');
  expect(answer.headers.get('allow')).toBe('POST, OPTIONS');
  expect((await client('POST', '/api/users/me')).headers.get('allow')).toBe(
    'GET, HEAD, PUT, PATCH, DELETE, OPTIONS',
  );
  const options = await client('OPTIONS', '/api/users');
  expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, POST, OPTIONS']);
});

test('HEAD is GET without the body', async () => {
  const { access_token: token } = await register(client);
  const [get, head] = [
    await client('GET', '/api/users/me', { token }),
    await client('HEAD', '/api/users/me', { token }),
  ];
  expect([head.status, head.text, head.headers.get('etag')]).toEqual([
    200,
    '',
    get.headers.get('etag'),
  ]);
});

test('an Accept that JSON does not satisfy: 406', async () => {
  const { access_token: token } = await register(client);
  expectProblem(
    await client('GET', '/api/users/me', { token, headers: { accept: 'text/html' } }),
    406,
    'not_acceptable',
  );
  expect(
    (
      await client('GET', '/api/users/me', {
        token,
        headers: { accept: 'text/html, application/*;q=0.1' },
      })
    ).status,
  ).toBe(200);
  for (const accept of ['application/json;q=0', 'application/json; q=0.0, */*'])
    expect((await client('GET', '/api/users/me', { token, headers: { accept } })).status).toBe(406);
});

test.each([
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/json; charset=latin1',
  'application/jsonp',
  '',
])('a body of type %p: 415', async (type) => {
  expectProblem(
    await client('POST', '/api/auth/login', { raw: '{}', headers: { 'content-type': type } }),
    415,
    'unsupported_media_type',
  );
});

test('a body that is too large: 413; compressed: 415', async () => {
  const large = JSON.stringify({ email: 'a@example.org', password: 'x'.repeat(40_000) });
  expectProblem(await client('POST', '/api/auth/login', { raw: large }), 413, 'body_too_large');
  expectProblem(
    await client('POST', '/api/auth/login', { raw: '{}', headers: { 'content-encoding': 'gzip' } }),
    415,
    'unsupported_encoding',
  );
});

test('an unknown query parameter: 400', async () => {
  const { access_token: token } = await register(client);
  expectProblem(await client('GET', '/api/auth/profile?x=1', { token }), 400, 'invalid_query');
});

describe('request id', () => {
  test('a well-formed id is returned, another is replaced', async () => {
    expect(
      (await client('GET', '/livez', { headers: { 'x-request-id': 'abc-123' } })).headers.get(
        'x-request-id',
      ),
    ).toBe('abc-123');
    for (const bad of ['a b', 'x'.repeat(200), '<script>', '-']) {
      expect(
        (await client('GET', '/livez', { headers: { 'x-request-id': bad } })).headers.get(
          'x-request-id',
        ),
      ).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

test('every response has security headers, also problems; none names the framework', async () => {
  for (const path of ['/livez', '/api/nothing', '/docs']) {
    const { headers } = await client('GET', path);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('strict-transport-security')).toMatch(/^max-age=/);
    expect(headers.get('x-powered-by')).toBeNull();
  }
});

test('documentation: OpenAPI 3.1 of every route, and a page without external resources', async () => {
  const { json } = await client('GET', '/openapi.json');
  expect(json.openapi).toBe('3.1.0');
  expect(Object.keys(json.paths)).toEqual(
    expect.arrayContaining([
      '/api/auth/register',
      '/api/auth/login',
      '/api/auth/profile',
      '/api/users',
      '/api/users/{id}',
    ]),
  );
  const page = await client('GET', '/docs');
  expect([page.status, page.headers.get('content-type')]).toEqual([
    200,
    'text/html; charset=utf-8',
  ]);
  expect(page.text).not.toMatch(/(src|href)="https?:/);
  const css = /href="(\/docs\/assets\/[^"]+)"/.exec(page.text)?.[1] ?? '';
  const asset = await client('GET', css);
  expect([asset.status, asset.headers.get('cache-control')]).toEqual([
    200,
    'public, max-age=31536000, immutable',
  ]);
});

test('health', async () => {
  expect((await client('GET', '/livez')).json).toEqual({ status: 'ok' });
  expect((await client('GET', '/readyz')).status).toBe(200);
  const { status, json } = await client('GET', '/health');
  expect([status, json.status, json.database.status]).toEqual([200, 'ok', 'up']);
  expect(json.workers).toBeGreaterThanOrEqual(1);
});

const vectors =
  process.env['VECTORS_DIR'] === undefined
    ? undefined
    : join(process.env['VECTORS_DIR'], 'json-parsing');
const present = vectors !== undefined && existsSync(vectors);
const describeVectors = present ? describe : describe.skip;

function allowedFor(name: string): number[] {
  if (name.startsWith('n_')) return [400, 413];
  return name.startsWith('y_') ? [422, 413] : [400, 413, 422];
}

describeVectors(
  `JSON parsing vectors${present ? '' : ' (skipped: VECTORS_DIR is not set)'}`,
  () => {
    const files = present ? readdirSync(vectors).filter((name) => name.endsWith('.json')) : [];

    test.each([
      'POST /api/auth/register',
      'POST /api/auth/login',
      'POST /api/users',
      'PATCH /api/users/me',
    ])(
      '%s: n_ 400, y_ a validation answer, nothing 5xx',
      async (line) => {
        const token = await login(client, service.admin.email, service.admin.password);
        const [method = '', path = ''] = line.split(' ');
        const wrong: string[] = [];
        for (const name of files) {
          const { status, headers } = await client(method, path, {
            token,
            raw: new Uint8Array(readFileSync(join(vectors ?? '', name))),
          });
          // `{}` changes nothing and is a valid merge patch.
          const emptyPatch = status === 200 && method === 'PATCH' && name.includes('object_empty');
          if (
            !emptyPatch &&
            (!allowedFor(name).includes(status) || headers.get('content-type') !== PROBLEM)
          )
            wrong.push(`${name}: ${status}`);
        }
        expect(wrong).toEqual([]);
        expect(files.length).toBeGreaterThan(300);
      },
      60_000,
    );
  },
);
