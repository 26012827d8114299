import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, login, register } from '../../support/http';

let service: TestService;
let client: Client;
let admin: string;
beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const ID = '652f1c3e9b1d4a0012ab34cd';
type Body = { readonly required?: boolean } | undefined;

/** Every writing operation of the OpenAPI document with such a body. */
async function operations(has: (body: Body) => boolean): Promise<[string, string][]> {
  const { paths } = (await client('GET', '/openapi.json')).json as {
    paths: Record<string, Record<string, { requestBody?: Body }>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(
        ([method, { requestBody }]) =>
          ['post', 'put', 'patch', 'delete'].includes(method) && has(requestBody),
      )
      .map(([method]): [string, string] => [method.toUpperCase(), path.replace('{id}', ID)]),
  );
}

/** In chunks, without a length. */
function streamed(method: string, path: string, token: string, text: string): Promise<Response> {
  const body = new ReadableStream({
    start(controller) {
      if (text !== '') controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'text/plain' };
  return fetch(`${service.baseUrl}${path}`, {
    method,
    headers,
    body,
    duplex: 'half',
  } as RequestInit);
}

describe('operations without a body', () => {
  test('refuse a non-empty body of any type, and do nothing', async () => {
    const all = await operations((body) => body === undefined);
    expect(all.map((one) => one.join(' '))).toEqual(
      expect.arrayContaining([
        'POST /api/auth/logout',
        `DELETE /api/auth/sessions/${ID}`,
        `DELETE /api/users/${ID}`,
      ]),
    );
    for (const [method, path] of all) {
      for (const body of [
        '{"scope":"global"}',
        '[]',
        'null',
        '0',
        '""',
        '{} x',
        'scope=global',
        '{',
        `{"a":"${'x'.repeat(2_000_000)}"}`,
        '\u0000',
      ]) {
        const answer = await client(method, path, { token: admin, raw: body });
        expect([method, path, body.slice(0, 20), answer.status, answer.json.code]).toEqual([
          method,
          path,
          body.slice(0, 20),
          400,
          'unexpected_body',
        ]);
      }
      const chunked = await streamed(method, path, admin, '{"scope":"global"}');
      expect([chunked.status, ((await chunked.json()) as { code: string }).code]).toEqual([
        400,
        'unexpected_body',
      ]);
    }
    expect((await client('GET', '/api/auth/profile', { token: admin })).status).toBe(200);
  });

  test('accept an empty body and {}, with and without a media type', async () => {
    const { access_token } = await register(client);
    for (const body of ['', '{}', ' {\r\n} ']) {
      for (const type of ['application/json', 'application/x-www-form-urlencoded', '']) {
        const headers = type === '' ? { 'content-type': '' } : { 'content-type': type };
        const answer = await client('DELETE', `/api/auth/sessions/${ID}`, {
          token: access_token,
          raw: body,
          headers,
        });
        expect([body, type, answer.status]).toEqual([body, type, 204]);
      }
    }
    expect((await streamed('POST', '/api/auth/logout', access_token, '')).status).toBe(204);
  });

  test('a connection stays open after `{}`, and is closed after an unread body', async () => {
    const { access_token } = await register(client);
    const send = (body: string) =>
      client('DELETE', `/api/auth/sessions/${ID}`, { token: access_token, raw: body });
    expect((await send('{}')).headers.get('connection')).not.toBe('close');
    expect((await send(`{"a":"${'x'.repeat(100)}"}`)).headers.get('connection')).toBe('close');
  });
});

describe('operations whose body needs no member', () => {
  test('take a request without a body as `{}`', async () => {
    const all = await operations((body) => body?.required === false);
    expect(all.map((one) => one.join(' ')).sort()).toEqual([
      'POST /api/auth/factors/totp',
      'POST /api/auth/security-events',
      `POST /api/users/${ID}/ban`,
      `POST /api/users/${ID}/require-password-change`,
    ]);
    for (const [method, path] of all) {
      const expected = await client(method, path, { token: admin, body: {} });
      expect([path, expected.status]).not.toEqual([path, 415]);
      const { status, code } = { status: expected.status, code: expected.json?.code };
      const empty = await client(method, path, { token: admin });
      const typed = await client(method, path, { token: admin, raw: '' });
      for (const answer of [empty, typed])
        expect([path, answer.status, answer.json?.code]).toEqual([path, status, code]);
      const text = { token: admin, raw: '{}', headers: { 'content-type': 'text/plain' } };
      expect([path, (await client(method, path, text)).status]).toEqual([path, 415]);
    }
  });

  test('a ban needs none', async () => {
    const { user } = await register(client);
    const answer = await client('POST', `/api/users/${user.id}/ban`, { token: admin });
    expect([answer.status, answer.json.status]).toEqual([200, 'banned']);
  });

  test.each(['/api/users', '/api/auth/refresh'])(
    '%s needs a member, and still asks for a body',
    async (path) => {
      const answer = await client('POST', path, { token: admin });
      expect([answer.status, answer.json.code]).toEqual([415, 'unsupported_media_type']);
    },
  );
});
