import { connect } from 'node:net';
import { startTestService, type TestService } from '../support/app';
import { type Client, createClient, login, PASSWORD, register, uniqueEmail } from '../support/http';

let service: TestService;
let client: Client;
beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

const account = (overrides: Record<string, unknown>) => ({
  name: 'Ada',
  email: uniqueEmail(),
  password: PASSWORD,
  ...overrides,
});
const tryToRegister = (overrides: Record<string, unknown>) =>
  client('POST', '/api/auth/register', { body: account(overrides) });

/** Sends the text; resolves with everything received until the service ends the connection. */
async function exchange(text: string): Promise<string> {
  const { hostname, port } = new URL(service.baseUrl);
  const socket = connect(Number(port), hostname);
  socket.write(text);
  return (await socket.setEncoding('utf8').toArray()).join('');
}

describe('names', () => {
  test.each([
    ['zero-width spaces', '\u200b\u200b'],
    ['a Hangul filler', '\u3164'],
    ['a blank Braille pattern', '\u2800'],
    ['a soft hyphen and a grapheme joiner', '\u00ad\u034f'],
    ['a combining accent alone', '\u0301'],
    ['tags', '\u{e0041}\u{e0042}'],
    ['a variation selector', '\ufe0f'],
    ['a musical null notehead', '\u{1d159}'],
    ['a right-to-left override', 'Ada\u202eecila'],
    ['an isolate', 'Ada\u2067x'],
    ['a noncharacter', 'Ada\ufffe'],
    ['a noncharacter beyond the BMP', 'Ada\u{1ffff}'],
    ['a line separator', 'Ada\u2028Lovelace'],
    ['an annotation', 'Ada\ufff9'],
    ['101 characters, blanks counted', ` ${'x'.repeat(100)}`],
  ])('%s: 422 that names /name once', async (_what, name) => {
    const answer = await tryToRegister({ name });
    expect([
      answer.status,
      answer.json.errors.map((one: { pointer: string }) => one.pointer),
    ]).toEqual([422, ['/name']]);
  });

  test.each(['علی\u200cرضا', '\u{1f469}\u200d\u{1f4bb}', 'Zoë', '李', "O'Brien-Łukasz", 'ﷺ'])(
    '%j is a name',
    async (name) => {
      const answer = await tryToRegister({ name });
      expect([answer.status, answer.json.user?.name]).toEqual([201, name]);
    },
  );

  test('blanks around a name are removed', async () => {
    expect((await tryToRegister({ name: '  Ada Lovelace\u3000' })).json.user.name).toBe(
      'Ada Lovelace',
    );
  });
});

describe('e-mail addresses', () => {
  test.each([
    ['a local part of 65 characters', `${'a'.repeat(65)}@example.org`, 'local_part_too_long'],
    ['no address at all', 'x', 'wrong_format'],
    ['a top-level domain of one letter', 'a@example.o', 'wrong_format'],
    [
      '255 characters',
      `a@${'b'.repeat(61)}.${'b'.repeat(61)}.${'b'.repeat(61)}.${'b'.repeat(61)}.example`,
      'too_long',
    ],
    ['an empty punycode label', 'a@example.xn--', 'wrong_format'],
  ])('%s: one error', async (_what, email, code) => {
    const answer = await tryToRegister({ email });
    expect([
      answer.status,
      answer.json.errors.map((one: { pointer: string; code: string }) => [one.pointer, one.code]),
    ]).toEqual([422, [['/email', code]]]);
  });

  test.each([
    `${'a'.repeat(64)}@example.org`,
    'a@xn--80ak6aa92e.xn--p1ai',
    'a@example.XN--P1AI',
    'a@example.travelersinsurance',
  ])('%s is an address', async (email) => {
    expect((await tryToRegister({ email })).status).toBe(201);
  });
});

test.each([
  ['the name', { name: 'Grace Hopper', password: 'grace hopper' }],
  ['the address', { email: 'Some.One@example.org', password: 'some.one@EXAMPLE.org' }],
  ["the address' local part", { email: 'someone.else@example.org', password: 'SomeOne.Else' }],
])('%s is no password, at register and for administrators', async (_what, overrides) => {
  const token = await login(client, service.admin.email, service.admin.password);
  for (const path of ['/api/auth/register', '/api/users']) {
    const { status, json } = await client('POST', path, { token, body: account(overrides) });
    expect([status, json.errors?.[0]?.pointer, json.errors?.[0]?.code]).toEqual([
      422,
      '/password',
      'password_is_identity',
    ]);
  }
});

describe('problem details use messages of this service, with its limits', () => {
  test.each([
    [
      { name: 7 },
      {
        pointer: '/name',
        code: 'wrong_type',
        message: 'must be a string',
        params: { expected: 'string' },
      },
    ],
    [{ name: undefined }, { pointer: '/name', code: 'required', message: 'is required' }],
    [
      { password: 'short' },
      {
        pointer: '/password',
        code: 'too_short',
        message: 'must have at least 8 characters',
        params: { min: 8 },
      },
    ],
    [
      { name: 'x'.repeat(101) },
      {
        pointer: '/name',
        code: 'too_long',
        message: 'must have at most 100 characters',
        params: { max: 100 },
      },
    ],
  ])('%j', async (overrides, error) => {
    expect((await tryToRegister(overrides)).json.errors).toEqual([error]);
  });

  test('a body that is not an object, a value outside an enumeration', async () => {
    const answer = await client('POST', '/api/auth/register', { raw: '[]' });
    expect(answer.json.errors).toEqual([
      {
        pointer: '',
        code: 'wrong_type',
        message: 'must be an object',
        params: { expected: 'object' },
      },
    ]);
    const token = await login(client, service.admin.email, service.admin.password);
    const list = await client('GET', '/api/users?sort=age', { token });
    expect(list.json.errors[0]).toMatchObject({
      pointer: 'sort',
      code: 'not_allowed',
      message: expect.stringMatching(/^must be one of /),
    });
    expect(list.json.errors[0].params.allowed).toContain('created_at');
    expect((await client('GET', '/api/users/xyz', { token })).json.errors[0].message).toBe(
      'must be me, or 24 hexadecimal digits in lower case',
    );
  });
});

describe('JSON', () => {
  const send = (raw: string) => client('POST', '/api/auth/login', { raw });

  test('a syntax error is reported with its position', async () => {
    const { status, json } = await send('{"email": "a@example.org",\n "password": secret}');
    expect([status, json.code, json.position]).toEqual([
      400,
      'malformed_json',
      { offset: 40, line: 2, column: 14 },
    ]);
    expect(json.detail).toContain('line 2, column 14');
    expect(JSON.stringify(json)).not.toContain('secret');
  });

  test.each(['{', '{"a":1,}', '// x\n{}', '{"a":1} x', '', '\ufeff{}', '{"a":01}'])(
    '%j is malformed: 400',
    async (raw) => {
      expect((await send(raw)).status).toBe(400);
    },
  );

  test.each([
    ['{"email":"a@example.org","email":"b@example.org","password":"x"}', '/email'],
    ['{"email":"a@example.org","\\u0065mail":"b@example.org","password":"x"}', '/email'],
    ['{"password":{"a/b":[{"c":1,"c":2}]}}', '/password/a~1b/0/c'],
    ['{"__proto__":1,"__proto__":2}', '/__proto__'],
  ])('a member that occurs twice is refused: %s', async (raw, pointer) => {
    const { status, json } = await send(raw);
    expect([status, json.errors]).toEqual([
      422,
      [{ pointer, code: 'duplicate_member', message: 'must not occur twice' }],
    ]);
  });

  test('equal names in different objects are not duplicates', async () => {
    const { json } = await send('{"email":[{"a":1},{"a":1}],"password":{"a":1}}');
    expect(json.errors.map((one: { code: string }) => one.code)).toEqual([
      'wrong_type',
      'wrong_type',
    ]);
  });

  test('the nesting depth is limited', async () => {
    expect((await send('['.repeat(65) + ']'.repeat(65))).json.code).toBe('json_too_deep');
    expect((await send(`${'['.repeat(8000)}${']'.repeat(8000)}`)).status).toBe(400);
    expect((await send('['.repeat(16_000))).status).toBe(400);
    expect((await send('['.repeat(64) + ']'.repeat(64))).status).toBe(422);
  });
});

describe('a body over the limit', () => {
  const head = (lines: string) =>
    `POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${lines}\r\n\r\n`;

  test.each([
    ['declared, of which nothing is sent', head('Content-Length: 1000000')],
    ['declared, of which a part is sent', `${head('Content-Length: 1000000')}{"email":`],
    ['declared, with an expectation', head('Content-Length: 1000000\r\nExpect: 100-continue')],
    [
      'in chunks without an end',
      `${head('Transfer-Encoding: chunked')}9000\r\n${'x'.repeat(0x9000)}\r\n`,
    ],
  ])('%s: 413 at once with the limit, and the connection ends', async (_what, text) => {
    const start = performance.now();
    const answer = await exchange(text);
    expect(performance.now() - start).toBeLessThan(5000);
    expect(answer).toMatch(/HTTP\/1\.1 413 /);
    expect(answer).toMatch(/\r\nConnection: close\r\n/i);
    expect(answer).toContain('"limit_bytes":32768');
    expect(answer).toContain('larger than 32768 bytes');
  });
});

describe('conditions', () => {
  test.each(['abc', '"open', 'W/"x"', '"a" "b"', '', '"a", W/"b"', '*, "a"'])(
    'If-Match: %j is malformed: 400, and nothing is done',
    async (tag) => {
      const { access_token: token } = await register(client);
      const answer = await client('PATCH', '/api/users/me', {
        token,
        body: { name: 'New' },
        headers: { 'if-match': tag },
      });
      expect([answer.status, answer.json.code]).toEqual([400, 'invalid_if_match']);
      expect((await client('GET', '/api/users/me', { token })).json.name).toBe('Ada Lovelace');
    },
  );

  test.each(['"x"', '"a,b"', '"a","b"', ', "a" ,'])(
    'If-Match: %s is well-formed and names something else: 412',
    async (tag) => {
      const { access_token: token } = await register(client);
      expect(
        (
          await client('PATCH', '/api/users/me', {
            token,
            body: { name: 'New' },
            headers: { 'if-match': tag },
          })
        ).status,
      ).toBe(412);
    },
  );

  test('If-None-Match applies to changes: 412 for a listed ETag and for *', async () => {
    const { access_token: token, user } = await register(client);
    const read = () => client('GET', '/api/users/me', { token });
    const etag = (await read()).headers.get('etag') ?? '';
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      for (const [method, body] of [
        ['PATCH', { name: 'New' }],
        ['PUT', { name: 'New', email: user.email }],
        ['DELETE', undefined],
      ] as const) {
        const answer = await client(method, '/api/users/me', {
          token,
          body,
          headers: { 'if-none-match': tag },
        });
        expect([tag, method, answer.status]).toEqual([tag, method, 412]);
      }
    }
    expect((await read()).headers.get('etag')).toBe(etag);
    expect(
      (
        await client('PATCH', '/api/users/me', {
          token,
          body: { name: 'New' },
          headers: { 'if-none-match': 'abc' },
        })
      ).status,
    ).toBe(400);
    expect(
      (
        await client('PATCH', '/api/users/me', {
          token,
          body: { name: 'New' },
          headers: { 'if-none-match': '"x"' },
        })
      ).status,
    ).toBe(200);
  });

  test('an update without a difference keeps the revision and updated_at', async () => {
    const { access_token: token, user } = await register(client);
    const admin = await login(client, service.admin.email, service.admin.password);
    const own = await client('GET', '/api/users/me', { token });
    const before = await client('GET', `/api/users/${user.id}`, { token: admin });
    for (const [method, body] of [
      ['PATCH', {}],
      ['PATCH', { name: user.name }],
      ['PUT', { name: ` ${user.name} `, email: user.email }],
      ['PATCH', { role: 'user' }],
    ] as const) {
      const answer = await client(method, `/api/users/${user.id}`, { token: admin, body });
      expect([method, answer.status, answer.headers.get('etag'), answer.text]).toEqual([
        method,
        200,
        before.headers.get('etag'),
        before.text,
      ]);
    }
    expect((await client('GET', '/api/auth/profile', { token })).text).toBe(own.text);
  });

  test('If-None-Match may be a list, weak or *, also on the documents', async () => {
    for (const path of ['/docs', '/openapi.json']) {
      const etag = (await client('GET', path)).headers.get('etag') ?? '';
      for (const tag of [etag, '*', `"x", ${etag}`, etag.replace('W/', '')]) {
        expect([
          tag,
          (await client('GET', path, { headers: { 'if-none-match': tag } })).status,
        ]).toEqual([tag, 304]);
      }
      expect((await client('GET', path, { headers: { 'if-none-match': '"x"' } })).status).toBe(200);
    }
  });
});

test('a page of the list has an ETag, and a client that sends it gets 304', async () => {
  const token = await login(client, service.admin.email, service.admin.password);
  const list = (tag?: string) =>
    client('GET', '/api/users?limit=2', {
      token,
      headers: tag === undefined ? {} : { 'if-none-match': tag },
    });
  const first = await list();
  const etag = first.headers.get('etag') ?? '';
  expect(etag).toMatch(/^"[\w-]+"$/);
  expect([
    (await list(etag)).status,
    (await list(`W/${etag}`)).status,
    (await list('"x"')).status,
  ]).toEqual([304, 304, 200]);
  await register(client);
  expect((await list(etag)).status).toBe(200);
});

test.each(['Bearer  ', 'bearer   ', 'BEARER '])(
  '%j and a token authenticate: RFC 9110 allows several blanks and either case',
  async (scheme) => {
    const { access_token: token } = await register(client);
    expect(
      (await client('GET', '/api/auth/profile', { headers: { authorization: scheme + token } }))
        .status,
    ).toBe(200);
  },
);

describe('the request target', () => {
  test('GET / redirects to the documentation', async () => {
    const answer = await client('GET', '/');
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/docs']);
  });

  test.each(['/API/auth/login', '/api/AUTH/profile', '/Docs', '/api/users/ME', '/LIVEZ'])(
    '%s is another path: 404 or 400',
    async (path) => {
      const { access_token: token } = await register(client);
      expect([400, 404]).toContain((await client('GET', path, { token })).status);
    },
  );
});

test("a client's X-Request-Id is echoed, and each response has an id of the service", async () => {
  const ask = () => client('GET', '/api/nothing', { headers: { 'x-request-id': 'mine-1' } });
  const [first, second] = [await ask(), await ask()];
  expect([first.headers.get('x-request-id'), second.headers.get('x-request-id')]).toEqual([
    'mine-1',
    'mine-1',
  ]);
  expect(first.json.instance).toMatch(/^urn:request:[0-9a-f-]{36}$/);
  expect(second.json.instance).not.toBe(first.json.instance);
});

test.each([
  [{ mfa_token: 'x' }, 'required', 'is required'],
  [{ mfa_token: 'x', factor: 'sms' }, 'not_allowed', /^must be one of .*totp/],
])('%j: the member that chooses the form of a body is named', async (body, code, message) => {
  const { status, json } = await client('POST', '/api/auth/mfa/verify', { body });
  expect([status, json.errors]).toEqual([
    422,
    [
      expect.objectContaining({
        pointer: '/factor',
        code,
        message: expect.stringMatching(message),
      }),
    ],
  ]);
});

test('a query parameter that is repeated is told so', async () => {
  const token = await login(client, service.admin.email, service.admin.password);
  const { status, json } = await client('GET', '/api/users?q=a&q=b', { token });
  expect([status, json.errors]).toEqual([
    400,
    [expect.objectContaining({ pointer: 'q', message: 'must occur once' })],
  ]);
});

describe('names in the list', () => {
  let token: string;
  const create = (name: string) =>
    client('POST', '/api/users', {
      token,
      body: { name, email: uniqueEmail(), password: 'correct horse battery' },
    });
  const find = async (q: string) => {
    const { json } = await client('GET', `/api/users?${new URLSearchParams({ q, limit: '100' })}`, {
      token,
    });
    return json.data.map((one: { name: string }) => one.name) as string[];
  };
  beforeAll(async () => {
    token = await login(client, service.admin.email, service.admin.password);
  });

  test.each([
    ['ΟΔΟΣ', 'Οδοσσέας'],
    ['οδος', 'ΟΔΟΣ ΑΒΓ'],
    ['STRASS', 'Straßer'],
    ['straß', 'STRASSE'],
    ['ﬁsh', 'Fisher'],
  ])('%s finds %s', async (q, name) => {
    await create(name);
    expect(await find(q)).toContain(name);
  });

  test('names whose normalised form is much longer can be paged over and searched', async () => {
    const long = Array.from({ length: 3 }, () => '\ufdfa'.repeat(100));
    for (const name of long) expect((await create(name)).status).toBe(201);
    const seen: string[] = [];
    let path: string | undefined = '/api/users?sort=-name&limit=1';
    while (path !== undefined && seen.length < 100) {
      const { status, json, headers } = await client('GET', path, { token });
      expect(status).toBe(200);
      expect((json.next_cursor ?? '').length).toBeLessThan(1024);
      seen.push(...json.data.map((one: { name: string }) => one.name));
      path = /<([^>]+)>; rel="next"/.exec(headers.get('link') ?? '')?.[1];
    }
    expect(seen.filter((name) => long.includes(name))).toHaveLength(3);
    // Of a long q the first characters count: shorter names that begin with them are found too.
    const found = await find('\ufdfa'.repeat(100));
    expect(found.filter((name) => long.includes(name))).toHaveLength(3);
  });
});
