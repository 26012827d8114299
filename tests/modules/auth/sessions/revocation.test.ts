import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../../support/http';
import { impersonate, personOf } from '../../../support/impersonation';

let service: TestService;
let client: Client;
let admin: string;
beforeAll(async () => {
  service = await startTestService({ JWT_SECRET: '', KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5) });
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const collection = (name: string) => service.database.connection.collection(name);
const form = (path: string, fields: string) =>
  client('POST', path, {
    raw: fields,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
const revoke = async (token: string) => (await form('/api/auth/revoke', `token=${token}`)).status;
const profile = async (token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const signIn = async (email: string) =>
  (await client('POST', '/api/auth/login', { body: { email, password: PASSWORD } })).json as {
    access_token: string;
    refresh_token: string;
  };
const sidOf = (token: string) =>
  (
    JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as {
      sid: string;
    }
  ).sid;
const many = <T>(count: number, work: (i: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)));
/** What the audit log has once everything up to now is in it: a last event marks the end. */
async function events(subject: string, type?: string) {
  const marker = await register(client);
  await eventually('the marker', () =>
    collection('audit_events')
      .findOne({ type: 'registered', subject: marker.user.id })
      .then(Boolean),
  );
  return collection('audit_events')
    .find({ subject, ...(type === undefined ? {} : { type }) })
    .sort({ at: 1, _id: 1 })
    .toArray();
}
/** How often other services were told, or will be, that sessions of the user have ended. */
async function toldEnds(id: string): Promise<number> {
  const { ObjectId } = service.database.connection.base.mongo;
  const type = 'user.sessions_ended';
  const user = await collection('users').findOne({ _id: new ObjectId(id) });
  const pending: { id: unknown; type: string }[] = user?.['outbox'] ?? [];
  const logged = await collection('events').find({ subject: id, type }).toArray();
  const ids = [...pending.filter((one) => one.type === type), ...logged].map((one) => one['id']);
  return new Set(ids.map(String)).size;
}
async function revokedOf(id: string): Promise<unknown[]> {
  const { ObjectId } = service.database.connection.base.mongo;
  return (await collection('users').findOne({ _id: new ObjectId(id) }))?.['revokedSessions'];
}

describe('a revoked token ends no session', () => {
  test.each(['access', 'refresh'] as const)(
    'a dead %s token sent to revoke 150 times',
    async (kind) => {
      const { user, access_token, refresh_token } = await register(client);
      expect((await client('POST', '/api/auth/logout', { token: access_token })).status).toBe(204);
      const next = await signIn(user.email);
      const before = await revokedOf(user.id);
      await many(150, () => revoke(kind === 'access' ? access_token : refresh_token));
      expect(await profile(next.access_token)).toBe(200);
      expect(
        (await client('POST', '/api/auth/refresh', { body: { refresh_token: next.refresh_token } }))
          .status,
      ).toBe(200);
      expect(await revokedOf(user.id)).toEqual(before);
      expect(await events(user.id, 'session_ended')).toEqual([]);
    },
  );

  test('nor after a global logout, a change of role or a ban', async () => {
    const { user, access_token } = await register(client);
    const ends = [
      () => client('POST', '/api/auth/logout?scope=global', { token: access_token }),
      () => client('PATCH', `/api/users/${user.id}`, { token: admin, body: { role: 'admin' } }),
    ];
    for (const end of ends) {
      const old = await signIn(user.email);
      await end();
      const next = await signIn(user.email);
      await many(20, () => revoke(old.access_token));
      await many(20, () => revoke(old.refresh_token));
      expect([await profile(old.access_token), await profile(next.access_token)]).toEqual([
        401, 200,
      ]);
    }
    expect(await events(user.id, 'session_ended')).toEqual([]);
  });
});

describe('one session ends once', () => {
  test.each(['access token', 'refresh token', 'by id', 'logout'])(
    '100 at once: %s',
    async (door) => {
      const { user, access_token, refresh_token } = await register(client);
      const other = await signIn(user.email);
      const doors: Record<string, () => Promise<unknown>> = {
        'access token': () => revoke(access_token),
        'refresh token': () => revoke(refresh_token),
        'by id': () =>
          client('DELETE', `/api/auth/sessions/${sidOf(access_token)}`, {
            token: other.access_token,
          }),
        logout: () => client('POST', '/api/auth/logout', { token: access_token }),
      };
      await many(100, () => doors[door]?.() ?? Promise.reject(new Error(door)));
      expect([await profile(access_token), await profile(other.access_token)]).toEqual([401, 200]);
      expect(await revokedOf(user.id)).toHaveLength(1);
      const rows = await events(user.id);
      const ends = rows.filter(({ type }) => type === 'session_ended' || type === 'logout');
      // Of a write whose answer comes too late the log says that it may have been made.
      const isUnconfirmed = rows.some(({ type }) => type === 'change_unconfirmed');
      if (!isUnconfirmed || ends.length > 0)
        expect(ends.map(({ session }) => session)).toEqual([sidOf(access_token)]);
      expect(await toldEnds(user.id)).toBe(1);
    },
  );

  test("30 revocations at once of an administrator's token as the user", async () => {
    const { user } = await register(client);
    const actor = await personOf(service, client, 'admin');
    const token = await impersonate(client, user, actor);
    await many(30, () => revoke(token));
    expect(await profile(token)).toBe(401);
    expect(await events(user.id, 'session_ended')).toHaveLength(1);
    expect(await toldEnds(user.id)).toBe(1);
  });

  test('concurrent reuses of a refresh token are recorded once', async () => {
    const strict = await startTestService({ REFRESH_GRACE_SECONDS: '0' });
    try {
      const here = createClient(strict.baseUrl);
      const { refresh_token } = await register(here);
      const send = () => here('POST', '/api/auth/refresh', { body: { refresh_token } });
      expect((await send()).status).toBe(200);
      const statuses = (await many(30, send)).map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([401]));
      await eventually('the alarm', () =>
        strict.database.connection
          .collection('audit_events')
          .findOne({ type: 'refresh_token_reused' })
          .then(Boolean),
      );
      await send();
      expect(
        await strict.database.connection
          .collection('audit_events')
          .countDocuments({ type: 'refresh_token_reused' }),
      ).toBe(1);
    } finally {
      await strict.close();
    }
  });
});

describe('DELETE /sessions/:id', () => {
  test('an unknown id or one of another user writes nothing and ends nothing', async () => {
    const one = await register(client);
    const other = await register(client);
    const remove = (id: string) =>
      client('DELETE', `/api/auth/sessions/${id}`, { token: one.access_token });
    const made = await many(
      120,
      async (i) => (await remove(i.toString(16).padStart(24, '0'))).status,
    );
    expect(new Set(made)).toEqual(new Set([204]));
    expect((await remove(sidOf(other.access_token))).status).toBe(204);
    expect([await profile(one.access_token), await profile(other.access_token)]).toEqual([
      200, 200,
    ]);
    expect(await revokedOf(one.user.id)).toEqual([]);
    for (const { user } of [one, other]) expect(await events(user.id, 'session_ended')).toEqual([]);
  });

  test('a login past the maximum of sessions records the end of the oldest', async () => {
    const small = await startTestService({ SESSIONS_PER_USER: '2' });
    try {
      const here = createClient(small.baseUrl);
      const { user, access_token } = await register(here);
      for (let i = 0; i < 2; i += 1) await login(here, user.email, PASSWORD);
      const found = await eventually(
        'the event',
        async () =>
          (await small.database.connection
            .collection('audit_events')
            .findOne({ type: 'session_ended' })) ?? false,
      );
      expect(found).toMatchObject({
        subject: user.id,
        session: sidOf(access_token),
        reason: 'too_many_sessions',
        result: 'success',
      });
    } finally {
      await small.close();
    }
  });
});

describe("a service account's token", () => {
  async function account() {
    const body = { name: 'Report', scopes: ['users:read', 'tokens:introspect'] };
    const { id, client_secret } = (
      await client('POST', '/api/service-accounts', { token: admin, body })
    ).json;
    const own = `client_id=${id}&client_secret=${client_secret}`;
    const issue = async () =>
      (await form('/api/auth/token', `grant_type=client_credentials&${own}`)).json
        .access_token as string;
    const active = async (token: string) =>
      (await form('/api/auth/introspect', `token=${token}&${own}`)).json.active as boolean;
    return { id: String(id), own, issue, active };
  }
  const list = async (token: string) =>
    (await client('GET', '/api/users?limit=1', { token })).status;

  test('is refused everywhere after its revocation; other tokens of the account are not', async () => {
    const { id, issue, active } = await account();
    const [one, other] = [await issue(), await issue()];
    expect([await list(one), await active(one)]).toEqual([200, true]);
    await many(30, () => revoke(one));
    expect([await list(one), await active(one)]).toEqual([401, false]);
    expect([await list(other), await active(other)]).toEqual([200, true]);
    expect(await revoke(one)).toBe(200);
    const row = await collection('service_accounts').findOne({ _id: id as never });
    const revoked = row?.['revokedTokens'] as { until: Date }[];
    expect(revoked).toHaveLength(1);
    expect(revoked[0]?.until.getTime()).toBeGreaterThan(Date.now() + 900_000);
    expect(await events(id, 'client_token_revoked')).toHaveLength(1);
    expect(await list(await issue())).toBe(200);
  });

  test('past a hundred revoked tokens all tokens of the account are revoked for good', async () => {
    const { issue } = await account();
    const kept = await issue();
    const tokens = await many(101, issue);
    for (const token of tokens) expect(await revoke(token)).toBe(200);
    for (const token of [kept, ...tokens]) expect(await list(token)).toBe(401);
    expect(await list(await issue())).toBe(200);
  });
});

describe('the audit log records each event and nothing else', () => {
  test('role_set only when a role was changed', async () => {
    const { user } = await register(client);
    const set = (method: string, body: object) =>
      client(method, `/api/users/${user.id}`, { token: admin, body });
    expect((await set('PATCH', { role: 'user' })).status).toBe(200);
    expect((await set('PUT', { name: 'Ada', email: user.email, role: 'user' })).status).toBe(200);
    expect(await events(user.id, 'role_set')).toEqual([]);
    expect((await set('PATCH', { role: 'admin' })).status).toBe(200);
    expect(await events(user.id, 'role_set')).toHaveLength(1);
  });

  test('failed client credentials and refused scopes, with the account', async () => {
    const body = { name: 'Report', scopes: ['users:read'] };
    const { id, client_secret } = (
      await client('POST', '/api/service-accounts', { token: admin, body })
    ).json;
    const grant = (fields: string) =>
      form('/api/auth/token', `grant_type=client_credentials&${fields}`);
    expect((await grant(`client_id=${id}&client_secret=wrong`)).status).toBe(401);
    expect(
      (await form('/api/auth/revoke', `token=x&client_id=${id}&client_secret=wrong`)).status,
    ).toBe(401);
    expect(
      (await grant(`client_id=${id}&client_secret=${client_secret}&scope=users:write`)).status,
    ).toBe(400);
    expect((await grant('client_id=secret-typed-here&client_secret=wrong')).status).toBe(401);
    const seen = (await events(id)).map(({ type, result, reason }) => [type, result, reason]);
    expect(seen).toEqual([
      ['service_account_created', 'success', undefined],
      ['client_authentication', 'failure', 'wrong_secret'],
      ['client_authentication', 'failure', 'wrong_secret'],
      ['client_token_issued', 'failure', 'invalid_scope'],
    ]);
    expect(JSON.stringify(await collection('audit_events').find().toArray())).not.toContain(
      'secret-typed-here',
    );
  });

  test('refused requests write a bounded number of rows, which count all of them', async () => {
    const busy = await startTestService();
    try {
      const here = createClient(busy.baseUrl, { unchecked: true });
      const fields =
        'grant_type=client_credentials&client_id=652f1c3e9b1d4a0012ab34cd&client_secret=x';
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      for (let i = 0; i < 10; i += 1)
        await many(50, () => here('POST', '/api/auth/token', { raw: fields, headers }));
      const rows = busy.database.connection.collection('audit_events');
      await eventually(
        'the first rows',
        async () => (await rows.countDocuments({ type: 'client_authentication' })) >= 20,
      );
      expect(await rows.countDocuments({})).toBeLessThanOrEqual(20);
    } finally {
      await busy.close();
    }
  });
});
