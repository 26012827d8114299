import { startTestService, type TestService } from '../../support/app';
import {
  type Client,
  createClient,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../support/http';

let service: TestService;
let client: Client;
let admin: string;
beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const refresh = (refresh_token: string) =>
  client('POST', '/api/auth/refresh', { body: { refresh_token } });
const profile = async (token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const sidOf = (token: string) =>
  (
    JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as {
      sid: string;
    }
  ).sid;
/** The login that a token comes from was a while ago. */
async function age(token: string, seconds: number): Promise<void> {
  const createdAt = new Date(Date.now() - seconds * 1000);
  await service.database.connection
    .collection('sessions')
    .updateOne({ _id: sidOf(token) as never }, { $set: { createdAt } });
}

describe('a change of password', () => {
  const change = (token: string) =>
    client('PATCH', '/api/auth/password', {
      token,
      body: { current_password: PASSWORD, new_password: 'another long password' },
    });

  test('gives the session a new pair; earlier refresh tokens are refused and cannot end it', async () => {
    const first = await register(client);
    const second = (await refresh(first.refresh_token)).json;
    const answer = await change(second.access_token);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect(sidOf(answer.json.access_token)).toBe(sidOf(first.access_token));
    for (const stolen of [second.refresh_token, first.refresh_token]) {
      const refused = await refresh(stolen);
      expect([refused.status, refused.json.code]).toEqual([401, 'invalid_refresh_token']);
    }
    const next = await refresh(answer.json.refresh_token);
    expect(next.status).toBe(200);
    for (const token of [answer.json.access_token, next.json.access_token])
      expect(await profile(token)).toBe(200);
  });

  test('of two concurrent changes one succeeds, and its pair is valid', async () => {
    const { access_token } = await register(client);
    const answers = await Promise.all([change(access_token), change(access_token)]);
    const [won, ...more] = answers.filter(({ status }) => status === 200);
    expect(more).toEqual([]);
    expect((await refresh(won?.json.refresh_token)).status).toBe(200);
  });
});

describe('a recent login', () => {
  test('is needed to remove an account, by its user and by an administrator', async () => {
    const { user, access_token } = await register(client);
    const other = await login(client, service.admin.email, service.admin.password);
    await age(access_token, 601);
    await age(other, 601);
    for (const [token, id] of [
      [access_token, 'me'],
      [access_token, user.id],
      [other, user.id],
    ] as const) {
      const refused = await client('DELETE', `/api/users/${id}`, { token });
      expect([refused.status, refused.json.code]).toEqual([
        401,
        'insufficient_user_authentication',
      ]);
      expect(refused.headers.get('www-authenticate')).toMatch(
        /^Bearer .*error="insufficient_user_authentication", max_age=600/,
      );
    }
    const fresh = await login(client, user.email, PASSWORD);
    expect((await client('DELETE', '/api/users/me', { token: fresh })).status).toBe(204);
  });
});

describe('a recent login of an administrator', () => {
  async function agedAdmin(): Promise<string> {
    const token = await login(client, service.admin.email, service.admin.password);
    await age(token, 601);
    return token;
  }
  const refused = [401, 'insufficient_user_authentication'];
  const outcome = ({ status, json }: { status: number; json: { code?: string } }) => [
    status,
    json.code,
  ];

  test('is needed to change a role, and not to state the present one', async () => {
    const { user } = await register(client);
    const path = `/api/users/${user.id}`;
    const token = await agedAdmin();
    const grant = { role: 'admin' };
    expect(outcome(await client('PATCH', path, { token, body: grant }))).toEqual(refused);
    const whole = { name: 'New Name', email: user.email };
    const promoting = { token, body: { ...whole, ...grant } };
    expect(outcome(await client('PUT', path, promoting))).toEqual(refused);
    const stored = (await client('GET', path, { token: admin })).json;
    expect([stored.role, stored.name]).toEqual(['user', user.name]);
    const stating = { token, body: { ...whole, role: 'user' } };
    expect((await client('PUT', path, stating)).json).toMatchObject({ name: 'New Name' });
    const fresh = await login(client, service.admin.email, service.admin.password);
    const granted = await client('PATCH', path, { token: fresh, body: grant });
    expect([granted.status, granted.json.role]).toEqual([200, 'admin']);
  });

  test('is needed to create an administrator, and not to create a user', async () => {
    const token = await agedAdmin();
    const account = (role: string) => ({
      token,
      body: { name: 'New Person', email: uniqueEmail('made'), password: PASSWORD, role },
    });
    expect(outcome(await client('POST', '/api/users', account('admin')))).toEqual(refused);
    expect((await client('POST', '/api/users', account('user'))).status).toBe(201);
  });

  test('is needed to create a service account, and not to list or revoke them', async () => {
    const token = await agedAdmin();
    const creation = { name: 'Billing', scopes: ['users:read'] };
    const path = '/api/service-accounts';
    const answer = await client('POST', path, { token, body: creation });
    expect(outcome(answer)).toEqual(refused);
    expect(answer.headers.get('www-authenticate')).toContain('max_age=600');
    const made = await client('POST', path, { token: admin, body: creation });
    expect(made.status).toBe(201);
    expect((await client('GET', path, { token })).status).toBe(200);
    expect((await client('DELETE', `${path}/${made.json.id}`, { token })).status).toBe(204);
  });
});

describe('service accounts', () => {
  const form = (fields: string) =>
    client('POST', '/api/auth/token', {
      raw: fields,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  async function tokenWith(scopes: string[]): Promise<string> {
    const { id, client_secret } = (
      await client('POST', '/api/service-accounts', {
        token: admin,
        body: { name: 'Writer', scopes },
      })
    ).json;
    return (
      await form(`grant_type=client_credentials&client_id=${id}&client_secret=${client_secret}`)
    ).json.access_token;
  }

  test('with only users:write get no user data in any answer', async () => {
    const token = await tokenWith(['users:write']);
    const { user } = await register(client, { name: 'Private Person' });
    const fresh = { name: 'Made Person', email: uniqueEmail('made'), password: PASSWORD };
    const made = await client('POST', '/api/users', { token, body: fresh });
    const path = String(made.headers.get('location'));
    expect([made.status, made.json]).toEqual([201, { id: path.split('/').at(-1) }]);
    expect((await client('GET', path, { token: admin })).json.email).toBe(fresh.email);
    for (const [method, body, status] of [
      ['PATCH', {}, 204],
      ['PATCH', { name: 'Other Name' }, 204],
      ['PUT', { name: 'Other Name', email: user.email }, 204],
      ['DELETE', undefined, 204],
    ] as const) {
      const answer = await client(method, `/api/users/${user.id}`, { token, body });
      expect([method, answer.status, answer.text]).toEqual([method, status, '']);
      for (const value of answer.headers.values()) expect(value).not.toContain(user.email);
    }
    for (const [method, at] of [
      ['GET', path],
      ['GET', '/api/users'],
      ['GET', '/api/users?limit=1'],
    ] as const)
      expect((await client(method, at, { token })).status).toBe(403);
    const both = await tokenWith(['users:read', 'users:write']);
    expect((await client('PATCH', path, { token: both, body: {} })).json.email).toBe(fresh.email);
  });

  test('show whether their creator may still manage service accounts', async () => {
    const maker = await register(client);
    await client('PATCH', `/api/users/${maker.user.id}`, { token: admin, body: { role: 'admin' } });
    const token = await login(client, maker.user.email, PASSWORD);
    const made = await client('POST', '/api/service-accounts', {
      token,
      body: { name: 'Theirs', scopes: ['users:read'] },
    });
    expect(made.json).toMatchObject({ created_by: maker.user.id, created_by_status: 'permitted' });
    const shown = async () =>
      (
        (await client('GET', '/api/service-accounts', { token: admin })).json.data as {
          id: string;
          created_by_status: string;
        }[]
      ).find(({ id }) => id === made.json.id)?.created_by_status;
    expect(await shown()).toBe('permitted');
    await client('PATCH', `/api/users/${maker.user.id}`, { token: admin, body: { role: 'user' } });
    expect(await shown()).toBe('not_permitted');
    expect((await client('DELETE', `/api/users/${maker.user.id}`, { token: admin })).status).toBe(
      204,
    );
    expect(await shown()).toBe('removed');
  });
});

test('no access token outlives its session', async () => {
  const short = await startTestService({
    SESSION_IDLE_TTL_SECONDS: '60',
    SESSION_MAX_TTL_SECONDS: '90',
  });
  try {
    const here = createClient(short.baseUrl);
    const { access_token, refresh_token } = await register(here);
    const row = () =>
      short.database.connection
        .collection('sessions')
        .findOne({ _id: sidOf(access_token) as never });
    const expOf = (token: string) =>
      (
        JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as {
          exp: number;
        }
      ).exp;
    const { until } = (await row()) as unknown as { until: Date };
    expect(expOf(access_token) * 1000).toBeLessThanOrEqual(until.getTime());
    const absoluteUntil = new Date(Date.now() + 20_000);
    await short.database.connection
      .collection('sessions')
      .updateOne({ _id: sidOf(access_token) as never }, { $set: { absoluteUntil } });
    const next = (await here('POST', '/api/auth/refresh', { body: { refresh_token } })).json;
    expect(expOf(next.access_token) * 1000).toBeLessThanOrEqual(absoluteUntil.getTime());
    expect(next.expires_in).toBeLessThanOrEqual(20);
  } finally {
    await short.close();
  }
});
