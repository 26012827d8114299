import { randomUUID } from 'node:crypto';
import mongoose from 'mongoose';
import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../support/http';

let service: TestService;
let client: Client;
let adminToken: string;

beforeAll(async () => {
  service = await startTestService({
    METADATA_INDEXED: 'app_metadata.plan,user_metadata.address.country',
    ROLES: 'auditor=users:read+users:read_private',
  });
  client = createClient(service.baseUrl);
  adminToken = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const users = () => service.database.connection.collection('users');
const idOf = (id: string) => new mongoose.Types.ObjectId(id);

/** An access token of a new service account. */
async function machine(...scopes: string[]): Promise<string> {
  const { json: account } = await client('POST', '/api/service-accounts', {
    token: adminToken,
    body: { name: 'Machine', scopes },
  });
  const { json } = await client('POST', '/api/auth/token', {
    raw: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: account.id,
      client_secret: account.client_secret,
    }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  return json.access_token as string;
}

async function subject(members: Record<string, unknown> = {}) {
  const { user, access_token: token } = await register(client);
  const path = `/api/users/${user.id}`;
  if (Object.keys(members).length > 0) {
    const { status } = await client('PATCH', path, { token: adminToken, body: members });
    expect(status).toBe(200);
  }
  const patch = (body: unknown, as = adminToken) => client('PATCH', path, { token: as, body });
  const read = async (as = adminToken) => (await client('GET', path, { token: as })).json;
  return { user, token, path, patch, read };
}

const uniqueExternalId = () => uniqueEmail('crm');

describe('permission and member', () => {
  const MEMBERS = ['user_metadata', 'app_metadata', 'private_metadata', 'external_id'] as const;
  const ALLOWED = {
    'the user itself': [true, false, false, false],
    'an administrator': [true, true, true, true],
    'a service account with users:write': [true, true, false, true],
    'a service account with users:write and users:read_private': [true, true, true, true],
  };
  test.each(Object.entries(ALLOWED))('%s', async (actor, allowed) => {
    const { token, patch, read } = await subject();
    const scopes = /with (.*)$/.exec(actor)?.[1]?.split(' and ');
    const as =
      scopes !== undefined
        ? await machine(...scopes)
        : actor === 'the user itself'
          ? token
          : adminToken;
    for (const [i, member] of MEMBERS.entries()) {
      const value = member === 'external_id' ? uniqueExternalId() : { by: actor };
      const before = await read();
      const { status, json } = await patch({ [member]: value }, as);
      if (allowed[i]) {
        expect([member, [200, 204].includes(status)]).toEqual([member, true]);
        expect((await read())[member]).toEqual(value);
      } else {
        expect([member, status, json.code, json.detail]).toEqual([
          ...[member, 403, 'member_write_forbidden'],
          `You may not write ${member} of this account.`,
        ]);
        expect(await read()).toEqual(before);
      }
    }
  });

  test('an administrator does not write its own private_metadata, nor sees it', async () => {
    const { status, json } = await client('PATCH', '/api/users/me', {
      token: adminToken,
      body: { private_metadata: { a: 1 } },
    });
    expect([status, json.code]).toEqual([403, 'member_write_forbidden']);
    expect(await client('GET', '/api/users/me', { token: adminToken })).toMatchObject({
      json: expect.not.objectContaining({ private_metadata: expect.anything() }),
    });
  });

  test('a role that reads private members and writes nothing', async () => {
    const { user, token, patch } = await subject();
    const target = await subject({ private_metadata: { note: 'x' } });
    expect((await patch({ role: 'auditor' })).status).toBe(200);
    const auditor = await login(client, user.email, PASSWORD);
    expect((await target.read(auditor)).private_metadata).toEqual({ note: 'x' });
    expect((await target.patch({ private_metadata: {} }, auditor)).status).toBe(403);
    expect((await client('GET', '/api/users/me', { token })).status).toBe(401);
  });

  test('values that the user sees may be sent back; a guess of private_metadata may not', async () => {
    const { token, patch } = await subject({
      app_metadata: { plan: 'pro' },
      private_metadata: { note: 'x' },
    });
    const statusOf = async (body: unknown) => (await patch(body, token)).status;
    expect(await statusOf({ app_metadata: { plan: 'pro' }, external_id: null })).toBe(200);
    expect(await statusOf({ app_metadata: { plan: 'free' } })).toBe(403);
    expect(await statusOf({ app_metadata: null })).toBe(403);
    for (const guess of [{ note: 'x' }, { note: 'y' }, {}, null])
      expect(await statusOf({ private_metadata: guess })).toBe(403);
  });
});

describe('merge patch', () => {
  test('the cases of RFC 7396, appendix A, that are objects', async () => {
    const cases: [object, unknown, object][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{ a: 'foo' }, null, {}],
      [{ a: 'b' }, { c: { bb: { ccc: null } } }, { a: 'b', c: { bb: {} } }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: [{ b: null }, {}] }, { a: [{ b: null }, {}] }],
    ];
    const { token, path, user } = await subject();
    const { name, email } = user;
    for (const [original, patch, result] of cases) {
      const whole = { name, email, user_metadata: original };
      const put = await client('PUT', path, { token, body: whole });
      expect(put.json.user_metadata).toEqual(original);
      const merged = await client('PATCH', path, { token, body: { user_metadata: patch } });
      expect([merged.status, merged.json.user_metadata]).toEqual([200, result]);
    }
  });

  test('nothing moves where nothing changes', async () => {
    const { path, user } = await subject({
      user_metadata: { a: { b: [1, { c: null }], d: {} } },
      external_id: uniqueExternalId(),
    });
    const { json: before, headers } = await client('GET', path, { token: adminToken });
    for (const body of [
      { user_metadata: { a: { d: {}, b: [1, { c: null }] } } },
      { user_metadata: {}, app_metadata: null, private_metadata: {} },
      { external_id: before.external_id, user_metadata: { missing: null } },
    ]) {
      const same = await client('PATCH', path, { token: adminToken, body });
      expect([same.headers.get('etag'), same.json]).toEqual([headers.get('etag'), before]);
    }
    expect(before.id).toBe(user.id);
  });

  test('concurrent patches of different keys are all kept', async () => {
    const { read, patch, token } = await subject();
    const keys = Array.from({ length: 8 }, (_, i) => `key${i}`);
    const done = await Promise.all(
      keys.map((key, i) =>
        patch({ user_metadata: { [key]: i } }, i % 2 === 0 ? token : adminToken),
      ),
    );
    expect(done.map(({ status }) => status)).toEqual(keys.map(() => 200));
    expect((await read()).user_metadata).toEqual(
      Object.fromEntries(keys.map((key, i) => [key, i])),
    );
  });

  test('an empty object is no member of the document', async () => {
    const { user, patch } = await subject({
      user_metadata: { a: 1 },
      external_id: uniqueExternalId(),
    });
    await patch({ user_metadata: { a: null }, external_id: null });
    const stored = await users().findOne({ _id: idOf(user.id) });
    expect(stored).not.toHaveProperty('userMetadata');
    expect(stored).not.toHaveProperty('externalId');
  });
});

describe('limits', () => {
  const ROUTES = ['PATCH', 'PUT', 'POST', 'register'] as const;
  async function send(route: (typeof ROUTES)[number], text: string) {
    const email = uniqueEmail();
    const account = `"name":"X","email":"${email}"`;
    const raw = `{${account},"password":"${PASSWORD}","user_metadata":${text}}`;
    if (route === 'register') return client('POST', '/api/auth/register', { raw });
    if (route === 'POST') return client('POST', '/api/users', { token: adminToken, raw });
    const { token, path, user } = await subject();
    const own = route === 'PUT' ? `"name":"X","email":"${user.email}",` : '';
    return client(route, path, { token, raw: `{${own}"user_metadata":${text}}` });
  }
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  const sized = (bytes: number) => `{"a":"${'x'.repeat(bytes - 8)}"}`;

  test.each<[string, string, string, string]>([
    ['8193 bytes', sized(8193), 'metadata_too_large', ''],
    ['8193 bytes of UTF-8', `{"a":"${'é'.repeat(4092)}x"}`, 'metadata_too_large', ''],
    ['9 levels', nested(9), 'metadata_too_deep', '/a/a/a/a/a/a/a/a'],
    [
      '9 levels of arrays',
      `{"a":${'['.repeat(8)}${']'.repeat(8)}}`,
      'metadata_too_deep',
      '/a/0/0/0/0/0/0/0',
    ],
    ['$', '{"$set":1}', 'metadata_key_not_allowed', '/$set'],
    ['a dot', '{"a":{"b.c":1}}', 'metadata_key_not_allowed', '/a/b.c'],
    ['NUL', '{"a\\u0000":1}', 'metadata_key_not_allowed', '/a\0'],
    ['no name', '{"":1}', 'metadata_key_not_allowed', '/'],
    ['a long name', `{"${'k'.repeat(129)}":1}`, 'metadata_key_not_allowed', `/${'k'.repeat(129)}`],
    ['__proto__', '{"__proto__":{"admin":true}}', 'metadata_key_not_allowed', '/__proto__'],
    ['constructor', '{"a":[{"constructor":1}]}', 'metadata_key_not_allowed', '/a/0/constructor'],
    ['prototype', '{"prototype":1}', 'metadata_key_not_allowed', '/prototype'],
    [
      'a type of BSON',
      '{"a":[{"_bsontype":"Double","value":1}]}',
      'metadata_key_not_allowed',
      '/a/0/_bsontype',
    ],
    ['a type that BSON lacks', '{"_bsontype":"x"}', 'metadata_key_not_allowed', '/_bsontype'],
    ['no type of BSON', '{"_bsontype":null}', 'metadata_key_not_allowed', '/_bsontype'],
    [
      'what mongoose takes for its own',
      '{"a":{"isMongooseBuffer":true}}',
      'metadata_key_not_allowed',
      '/a/isMongooseBuffer',
    ],
    ['infinity', '{"a":1e999}', 'too_big', '/a'],
    ['half a pair', '{"a":"\\ud800"}', 'invalid', '/a'],
    ['an array', '[]', 'wrong_type', ''],
    ['a string', '"x"', 'wrong_type', ''],
  ])('%s is refused by every route', async (_, text, code, pointer) => {
    for (const route of ROUTES) {
      const { status, json } = await send(route, text);
      expect([route, status, json.errors]).toEqual([
        ...[route, 422],
        [expect.objectContaining({ code, pointer: `/user_metadata${pointer}` })],
      ]);
    }
  });

  test.each([
    ['8192 bytes', sized(8192)],
    ['8192 bytes of UTF-8', `{"a":"${'é'.repeat(4092)}"}`],
    ['8 levels', nested(8)],
    ['8 levels of arrays', `{"a":${'['.repeat(7)}${']'.repeat(7)}}`],
    [
      'names and values of every kind',
      `{"${'k'.repeat(128)}":[0,-1.5,1e300,true,"","\\u0000","😀"]}`,
    ],
    ['names that JavaScript knows', '{"toString":1,"hasOwnProperty":{"valueOf":2},"length":3}'],
  ])('%s is stored by every route', async (_, text) => {
    for (const route of ROUTES) {
      const { status, json } = await send(route, text);
      expect([route, status]).toEqual([
        route,
        route.startsWith('P') && route !== 'POST' ? 200 : 201,
      ]);
      expect((route === 'register' ? json.user : json).user_metadata).toEqual(JSON.parse(text));
    }
  });

  test('the size is that of the merged object, and refused parts change nothing', async () => {
    const { patch, read, token } = await subject();
    expect((await patch({ user_metadata: { a: 'x'.repeat(5000) } }, token)).status).toBe(200);
    const { status, json } = await patch({ user_metadata: { b: 'x'.repeat(5000) } }, token);
    expect([status, json.errors]).toEqual([
      422,
      [
        {
          ...{ pointer: '/user_metadata', code: 'metadata_too_large', params: { max: 8192 } },
          message: 'must have at most 8192 bytes as JSON',
        },
      ],
    ]);
    expect(Object.keys((await read()).user_metadata)).toEqual(['a']);
    const swapped = await patch({ user_metadata: { a: null, b: 'x'.repeat(5000) } }, token);
    expect(swapped.status).toBe(200);
  });

  test('-0 is 0: an answer of GET moves no revision when it is sent back', async () => {
    const { path } = await subject();
    const raw = '{"user_metadata":{"n":-0,"all":[-0,{"m":-0.0}]}}';
    const headers = { 'content-type': 'application/json' };
    expect((await client('PATCH', path, { token: adminToken, raw, headers })).status).toBe(200);
    const got = await client('GET', path, { token: adminToken });
    const put = await client('PUT', path, { token: adminToken, body: got.json });
    expect([put.status, put.headers.get('etag')]).toEqual([200, got.headers.get('etag')]);
  });

  test('three full kinds are read, and sent back by PUT', async () => {
    const full = JSON.parse(sized(8192));
    const { path, user } = await subject();
    for (const member of ['user_metadata', 'app_metadata', 'private_metadata'])
      expect(
        (await client('PATCH', path, { token: adminToken, body: { [member]: full } })).status,
      ).toBe(200);
    const { json: body } = await client('GET', path, { token: adminToken });
    const put = await client('PUT', path, { token: adminToken, body });
    expect([put.status, put.json]).toEqual([200, body]);
    expect(user.id).toBe(body.id);
  });

  test('operators in a value are data', async () => {
    const { patch, user } = await subject();
    const value = { a: '$name', b: ['$$NOW', { c: '$set' }] };
    await patch({ app_metadata: value });
    expect((await users().findOne({ _id: idOf(user.id) }))?.['appMetadata']).toEqual(value);
  });
});

describe('indexed members', () => {
  test.each([
    ['an object', 'app_metadata', { plan: { x: 1 } }, '/app_metadata/plan'],
    ['an array', 'app_metadata', { plan: ['pro'] }, '/app_metadata/plan'],
    ['201 characters', 'app_metadata', { plan: 'x'.repeat(201) }, '/app_metadata/plan'],
    [
      'an array on the way',
      'user_metadata',
      { address: [{ country: 'NL' }] },
      '/user_metadata/address/country',
    ],
  ])('%s is refused', async (_, member, value, pointer) => {
    const { patch } = await subject();
    const { status, json } = await patch({ [member]: value });
    expect([status, json.errors?.[0]]).toMatchObject([
      422,
      { pointer, code: 'metadata_not_indexable' },
    ]);
    const body = { name: 'X', email: uniqueEmail(), password: PASSWORD, [member]: value };
    const created = await client('POST', '/api/users', { token: adminToken, body });
    expect([created.status, created.json.errors?.[0].code]).toEqual([
      422,
      'metadata_not_indexable',
    ]);
  });

  test.each<[string, unknown]>([
    ['a string', 'pro'],
    ['200 characters', 'x'.repeat(200)],
    ['a number', 7],
    ['a boolean', true],
    ['null', null],
  ])('%s is stored', async (_, plan) => {
    const { patch } = await subject();
    expect((await patch({ app_metadata: { plan }, user_metadata: { address: 'x' } })).status).toBe(
      200,
    );
  });

  test('values stored before the setting stay, and other members change', async () => {
    const { user, patch, read } = await subject();
    await users().updateOne({ _id: idOf(user.id) }, { $set: { appMetadata: { plan: ['old'] } } });
    const { status } = await patch({ app_metadata: { other: 1 } });
    expect([status, (await read()).app_metadata]).toEqual([200, { plan: ['old'], other: 1 }]);
  });

  test('each has an index in the order of the list, which a query uses', async () => {
    const indexes = await users().indexes();
    expect(indexes).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          name: 'by_app_metadata.plan_created',
          key: { 'appMetadata.plan': 1, createdAt: 1, _id: 1 },
        }),
        expect.objectContaining({ name: 'by_user_metadata.address.country_created' }),
      ]),
    );
    const plan = await users()
      .find({ 'appMetadata.plan': 'pro' }, { sort: { createdAt: -1, _id: -1 } })
      .hint('by_app_metadata.plan_created')
      .explain('queryPlanner');
    expect(JSON.stringify(plan)).toContain('IXSCAN');
    expect(JSON.stringify(plan)).not.toContain('"stage":"SORT"');
  });
});

describe('external_id', () => {
  test('unique where present, told apart from the e-mail address', async () => {
    const externalId = uniqueExternalId();
    const [first, second] = [await subject({ external_id: externalId }), await subject()];
    const taken = await second.patch({ external_id: externalId });
    expect([taken.status, taken.json.code]).toEqual([409, 'external_id_taken']);
    const email = await second.patch({ email: first.user.email });
    expect([email.status, email.json.code]).toEqual([409, 'email_taken']);
    const body = { name: 'X', email: uniqueEmail(), password: PASSWORD, external_id: externalId };
    const created = await client('POST', '/api/users', { token: adminToken, body });
    expect([created.status, created.json.code]).toEqual([409, 'external_id_taken']);
    expect((await first.patch({ external_id: null })).json.external_id).toBeNull();
    expect((await second.patch({ external_id: externalId })).json.external_id).toBe(externalId);
  });

  test('an address that looks like the name of the index is an address', async () => {
    const email = 'external_id_unique@example.org';
    const first = await register(client, { email });
    const answer = await client('POST', '/api/auth/register', {
      body: { name: 'X', email, password: PASSWORD },
    });
    expect([answer.status, answer.json.code, first.user.email]).toEqual([
      409,
      'email_taken',
      email,
    ]);
  });

  test('in a race one gets it', async () => {
    const externalId = uniqueExternalId();
    const racers = await Promise.all(Array.from({ length: 5 }, () => subject()));
    const answers = await Promise.all(
      racers.map(({ patch }) => patch({ external_id: externalId })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409]);
  });

  test.each([
    ['128 characters', 'x'.repeat(128), 200],
    ['blanks within', 'cn=Ada Lovelace,ou=People', 200],
    ['one character', '!', 200],
    ['129 characters', 'x'.repeat(129), 422],
    ['no character', '', 422],
    ['a blank before', ' a', 422],
    ['a blank after', 'a ', 422],
    ['a line break', 'a\nb', 422],
    ['not ASCII', 'é', 422],
    ['a number', 7, 422],
  ])('%s', async (_, externalId, status) => {
    const { patch } = await subject();
    expect((await patch({ external_id: externalId })).status).toBe(status);
    await patch({ external_id: null });
  });
});

describe('around', () => {
  test('an administrator creates a user with all of them; a replay gives the same answer', async () => {
    const body = {
      ...{
        name: 'Made',
        email: uniqueEmail(),
        password: PASSWORD,
        external_id: uniqueExternalId(),
      },
      ...{ user_metadata: { a: 1 }, app_metadata: { plan: 'pro' }, private_metadata: { b: 2 } },
    };
    const { password: _, ...members } = body;
    const headers = { 'idempotency-key': randomUUID() };
    const made = await client('POST', '/api/users', { token: adminToken, body, headers });
    expect([made.status, made.json]).toMatchObject([201, members]);
    const again = await client('POST', '/api/users', { token: adminToken, body, headers });
    expect([again.status, again.text]).toEqual([201, made.text]);
    const token = await login(client, body.email, PASSWORD);
    const replayed = await client('POST', '/api/users', { token, body, headers });
    expect([replayed.status, replayed.text]).toEqual([403, expect.not.stringContaining('private')]);
    const writer = await machine('users:write', 'users:read');
    const other = { ...body, email: uniqueEmail(), external_id: uniqueExternalId() };
    const refused = await client('POST', '/api/users', { token: writer, body: other });
    expect([refused.status, refused.json.code]).toEqual([403, 'member_write_forbidden']);
  });

  test('a registration sets user_metadata, and no other member', async () => {
    const account = () => ({ name: 'X', email: uniqueEmail(), password: PASSWORD });
    const { user } = await register(client, { user_metadata: { locale: 'nl' } });
    expect(user).toMatchObject({ user_metadata: { locale: 'nl' }, app_metadata: {} });
    for (const member of ['app_metadata', 'private_metadata', 'external_id']) {
      const body = { ...account(), [member]: member === 'external_id' ? 'x' : {} };
      const { status, json } = await client('POST', '/api/auth/register', { body });
      expect([status, json.errors?.[0]]).toMatchObject([
        422,
        { pointer: `/${member}`, code: 'unknown_field' },
      ]);
    }
  });

  test('changes by others are in the audit log, by the names of the members', async () => {
    const { user, patch, token } = await subject();
    await patch({ user_metadata: { own: 1 } }, token);
    await patch({ app_metadata: { a: 1 }, external_id: uniqueExternalId() });
    const events = await eventually('the event', async () => {
      const { json } = await client('GET', `/api/audit-events?subject=${user.id}&limit=50`, {
        token: adminToken,
      });
      const found = json.data.filter(({ type }: { type: string }) => type === 'metadata_changed');
      return found.length > 0 && found;
    });
    expect(events).toMatchObject([{ reason: 'app_metadata external_id', result: 'success' }]);
  });
});
