import bcrypt from 'bcrypt';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';

let service: TestService;
let client: Client;

beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
});
afterAll(() => service?.close());

describe('register', () => {
  test('answers with the user, tokens and Location, and the account can sign in', async () => {
    const email = uniqueEmail();
    const answer = await client('POST', '/api/auth/register', {
      body: { name: 'Ada', email, password: PASSWORD },
    });
    expect(answer.status).toBe(201);
    expect(Object.keys(answer.json).sort()).toEqual([
      'access_token',
      'expires_in',
      'refresh_token',
      'token_type',
      'user',
    ]);
    expect(answer.json).toMatchObject({
      token_type: 'Bearer',
      user: { name: 'Ada', email, role: 'user' },
    });
    expect(answer.json.user.id).toMatch(/^[0-9a-f]{24}$/);
    expect(answer.headers.get('location')).toBe(`/api/users/${answer.json.user.id}`);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(await login(client, email, PASSWORD)).toEqual(expect.any(String));
  });

  test('a taken e-mail address in any letter case gets 409, also in concurrent requests', async () => {
    const email = uniqueEmail('Mixed');
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        client('POST', '/api/auth/register', {
          body: { name: 'Ada', email: i % 2 ? email : email.toUpperCase(), password: PASSWORD },
        }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([
      201,
      ...Array.from({ length: 9 }, () => 409),
    ]);
    expect(answers.find(({ status }) => status === 409)?.json.code).toBe('email_taken');
  });

  test.each([
    [{ name: '', email: 'a@example.org', password: PASSWORD }, '/name'],
    [{ name: ' ', email: 'a@example.org', password: PASSWORD }, '/name'],
    [{ name: 'A\u0000', email: 'a@example.org', password: PASSWORD }, '/name'],
    [{ name: 'A'.repeat(101), email: 'a@example.org', password: PASSWORD }, '/name'],
    [{ name: 'A', email: 'nobody', password: PASSWORD }, '/email'],
    [{ name: 'A', email: { $gt: '' }, password: PASSWORD }, '/email'],
    [{ name: 'A', email: 'a@example.org', password: 'short' }, '/password'],
    [{ name: 'A', email: 'a@example.org', password: 'password' }, '/password'],
    [{ name: 'A', email: 'a@example.org', password: 'ü'.repeat(37) }, '/password'],
    [{ name: 'A', email: 'a@example.org', password: 'abc\u0000defgh' }, '/password'],
    [{ name: 'A', email: 'a@example.org' }, '/password'],
    [{ name: 'A', email: 'a@example.org', password: PASSWORD, admin: true }, '/admin'],
    [[], ''],
    [null, ''],
    ['x', ''],
  ])('%j: 422 that points at %s', async (body, pointer) => {
    const answer = await client('POST', '/api/auth/register', { body });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      422,
      'application/problem+json',
    ]);
    expect(answer.json.errors.map((one: { pointer: string }) => one.pointer)).toContain(pointer);
    expect(answer.text).not.toContain('abc\\u0000');
  });
});

describe('login', () => {
  test('a wrong password and an unknown account get the same answer except for the request id', async () => {
    const { user } = await register(client);
    const wrong = await client('POST', '/api/auth/login', {
      body: { email: user.email, password: 'not the password' },
    });
    const unknown = await client('POST', '/api/auth/login', {
      body: { email: uniqueEmail('nobody'), password: 'not the password' },
    });
    expect(wrong.status).toBe(401);
    expect(wrong.json.code).toBe('invalid_credentials');
    expect(wrong.headers.get('www-authenticate')).toMatch(/^Bearer/);
    const bare = ({ json, status }: typeof wrong) => ({ ...json, instance: '', status });
    expect(bare(unknown)).toEqual(bare(wrong));
  });

  test('query operators instead of values find no account', async () => {
    for (const body of [
      { email: { $gt: '' }, password: { $gt: '' } },
      { email: ['a@example.org'], password: PASSWORD },
      { email: 'a@example.org', password: { $ne: null } },
    ]) {
      expect((await client('POST', '/api/auth/login', { body })).status).toBe(422);
    }
  });
});

describe('bearer tokens', () => {
  test.each([
    ['none', undefined],
    ['another scheme', 'Basic YTpi'],
    ['no token', 'Bearer'],
    ['garbage', 'Bearer abc'],
    ['three parts', 'Bearer a.b.c'],
  ])('%s: 401 with a challenge', async (_name, authorization) => {
    const answer = await client('GET', '/api/auth/profile', {
      headers: authorization === undefined ? {} : { authorization },
    });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      401,
      'application/problem+json',
    ]);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm="api"/);
  });

  test('the scheme is case-insensitive', async () => {
    const { access_token: token, user } = await register(client);
    expect(
      (await client('GET', '/api/auth/profile', { headers: { authorization: `bearer ${token}` } }))
        .json,
    ).toEqual(user);
  });
});

describe('change of password', () => {
  test('the name and the address are refused as passwords', async () => {
    const { user, access_token: token, password } = await register(client);
    for (const next of [user.name.toUpperCase(), user.email, user.email.split('@')[0]]) {
      const answer = await client('PATCH', '/api/auth/password', {
        token,
        body: { current_password: password, new_password: next },
      });
      expect([answer.status, answer.json.errors[0].pointer, answer.json.errors[0].code]).toEqual([
        422,
        '/new_password',
        'password_is_identity',
      ]);
    }
  });

  test('needs the current password, ends other sessions and stores a hash', async () => {
    const { user, access_token: first, password } = await register(client);
    const [second, token] = [
      await login(client, user.email, password),
      await login(client, user.email, password),
    ];
    const path = '/api/auth/password';
    const wrong = await client('PATCH', path, {
      token,
      body: { current_password: 'not the password', new_password: 'a new password' },
    });
    expect([wrong.status, wrong.json.errors[0].pointer]).toEqual([422, '/current_password']);
    expect(
      (
        await client('PATCH', path, {
          token,
          body: { current_password: password, new_password: 'password' },
        })
      ).status,
    ).toBe(422);

    expect(
      (
        await client('PATCH', path, {
          token,
          body: { current_password: password, new_password: 'a new password' },
        })
      ).status,
    ).toBe(200);
    expect(
      (await client('POST', '/api/auth/login', { body: { email: user.email, password } })).status,
    ).toBe(401);
    expect(await login(client, user.email, 'a new password')).toEqual(expect.any(String));
    for (const older of [first, second])
      expect((await client('GET', '/api/auth/profile', { token: older })).status).toBe(401);
    expect((await client('GET', '/api/auth/profile', { token })).status).toBe(200);
    const stored = await service.database.connection
      .collection('users')
      .findOne({ emailKey: user.email });
    expect(stored?.['passwordHash']).toMatch(/^\$2b\$04\$.{53}$/);
    expect(await bcrypt.compare('a new password', String(stored?.['passwordHash']))).toBe(true);
  });
});

test('no operation stores a readable password', async () => {
  const { user, access_token: token, password } = await register(client);
  await client('PATCH', '/api/auth/password', {
    token,
    body: { current_password: password, new_password: 'canary password 1' },
  });
  const stored = await service.database.connection
    .collection('users')
    .findOne({ emailKey: user.email });
  expect(JSON.stringify(stored)).not.toContain('canary');
  expect(stored?.['passwordHash']).toMatch(/^\$2b\$\d\d\$.{53}$/);
});
