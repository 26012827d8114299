import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Answer,
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  uniqueEmail,
} from '../../../support/http';
import { formOf, impersonate, type Person, personOf } from '../../../support/impersonation';

const lines: Record<string, unknown>[] = [];
let service: TestService;
let client: Client;
let admin: Person;

beforeAll(async () => {
  const logTo = { write: (line: string) => lines.push(JSON.parse(line)) };
  service = await startTestService(
    {
      ROLES: 'agent=users:impersonate+users:write+users:read,writer=users:write+users:read',
      LOG_LEVEL: 'info',
    },
    undefined,
    logTo,
  );
  client = createClient(service.baseUrl);
  admin = await of('admin');
});
afterAll(() => service?.close());

const of = (role: string) => personOf(service, client, role);
const outcome = ({ status, json }: Answer) => [status, json?.code];
const FORBIDDEN = [403, 'impersonation_forbidden'];
const profileStatus = async (token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const audited = async (subject: string, type: string) => {
  const path = `/api/audit-events?subject=${subject}&type=${type}`;
  const { json } = await client('GET', path, { token: admin.token });
  return json.data.length > 0 ? json.data : undefined;
};

interface Operation {
  readonly 'x-impersonation'?: false;
}
type Paths = Record<string, Record<string, Operation>>;

describe('an administrator who acts as a user', () => {
  test('may not use the operations that docs/security.md reserves for the user', async () => {
    const paths = (await client('GET', '/openapi.json')).json.paths as Paths;
    const personal = Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).flatMap(([method, operation]) =>
        operation['x-impersonation'] === false
          ? [{ method: method.toUpperCase(), path: path.replaceAll(/\{(\w+)\}/g, ':$1') }]
          : [],
      ),
    );
    const page = readFileSync(resolve(__dirname, '../../../../../docs/security.md'), 'utf8');
    const listed = [...page.matchAll(/^- `([A-Z]+ \/api\/\S+)`$/gm)].map(([, one]) => one);
    expect(listed.toSorted()).toEqual(
      personal.map((one) => `${one.method} ${one.path}`).toSorted(),
    );
    expect(personal.length).toBeGreaterThanOrEqual(7);
    const token = await impersonate(client, await of('user'), admin);
    for (const { method, path } of personal) {
      const answer = await client(method, path.replace(/:\w+/, '0'.repeat(24)), {
        token,
        ...(method === 'GET' || method === 'DELETE' ? {} : { body: {} }),
      });
      expect([method, path, ...outcome(answer)]).toEqual([method, path, ...FORBIDDEN]);
    }
  });

  test('is refused whatever asks for a recent login, and the address of the user', async () => {
    const [user, writer, other] = await Promise.all([of('user'), of('writer'), of('user')]);
    const token = await impersonate(client, user, admin);
    const asWriter = await impersonate(client, writer, admin);
    const email = uniqueEmail('next');
    const path = `/api/users/${other.id}`;
    for (const [answer, expected] of [
      [await client('DELETE', '/api/users/me', { token }), FORBIDDEN],
      [await client('DELETE', path, { token: asWriter }), FORBIDDEN],
      [await client('PATCH', path, { token: asWriter, body: { email } }), FORBIDDEN],
      [
        await client('PATCH', '/api/users/me', { token, body: { email } }),
        [403, 'email_change_needs_proof'],
      ],
      [await client('POST', '/api/auth/logout?scope=global', { token }), FORBIDDEN],
      [await client('POST', '/api/auth/logout?scope=others', { token }), FORBIDDEN],
    ] as const)
      expect(outcome(answer)).toEqual(expected);
    expect([await profileStatus(user.token), await profileStatus(other.token)]).toEqual([200, 200]);
    expect((await client('GET', '/api/users/me', { token: user.token })).json.email).toBe(
      user.email,
    );
  });

  test('is named with the user in the audit log and in the log', async () => {
    const writer = await of('writer');
    const token = await impersonate(client, writer, admin);
    const created = await client('POST', '/api/users', {
      token,
      body: { name: 'Made', email: uniqueEmail('made'), password: PASSWORD },
    });
    const [event] = await eventually('the event', () =>
      audited(created.json.id, 'account_created'),
    );
    expect(event).toMatchObject({ actor: admin.id, impersonated: writer.id });
    const line = lines.find((one) => one['status'] === 201 && one['user_id'] === writer.id);
    expect(line).toMatchObject({ user_id: writer.id, actor_id: admin.id });
    const body = { name: 'By another', user_metadata: { theme: 'dark' } };
    for (const [sent, reason] of [
      [body, 'name user_metadata'],
      [{ name: 'Once more' }, 'name'],
    ] as const) {
      expect((await client('PATCH', '/api/users/me', { token, body: sent })).status).toBe(200);
      const [written] = await eventually('the event', async () => {
        const all = await audited(writer.id, 'metadata_changed');
        return all?.[0].reason === reason && all;
      });
      expect(written).toMatchObject({ actor: admin.id, impersonated: writer.id });
    }
    // Nothing is written, or by the user itself: nothing to look for.
    await client('PATCH', '/api/users/me', { token, body: { name: 'Once more' } });
    await client('PATCH', '/api/users/me', { token: writer.token, body });
    await client('PATCH', '/api/users/me', {
      token: writer.token,
      body: { app_metadata: { a: 1 } },
    });
    const events = await eventually('the last event', async () => {
      const all = await audited(writer.id, 'metadata_changed');
      return all?.[0].reason === 'app_metadata' && all;
    });
    expect(events).toHaveLength(3);
    // Of the user itself there is one id.
    await client('GET', '/api/auth/profile', { token: writer.token });
    const own = lines.findLast((one) => one['user_id'] === writer.id);
    expect(own).not.toHaveProperty('actor_id');
  });
});

describe('such a token ends', () => {
  test('by its logout, which ends nothing else; both are on record', async () => {
    const user = await of('user');
    const [one, another] = [
      await impersonate(client, user, admin),
      await impersonate(client, user, admin),
    ];
    expect((await client('POST', '/api/auth/logout', { token: one })).status).toBe(204);
    expect(await Promise.all([one, another, user.token, admin.token].map(profileStatus))).toEqual([
      401, 200, 200, 200,
    ]);
    const [event] = await eventually('the event', () => audited(user.id, 'logout'));
    expect(event).toMatchObject({ actor: admin.id, impersonated: user.id, subject: user.id });
    // It is remembered until the token has expired, not for a day.
    const stored = await service.database.connection
      .collection('users')
      .findOne({ emailKey: user.email });
    const untilMs = Number(stored?.['revokedSessions'][0].until);
    expect(untilMs).toBeGreaterThan(Date.now() + 600_000);
    expect(untilMs).toBeLessThan(Date.now() + 1_000_000);
  });

  test('by its revocation (RFC 7009)', async () => {
    const user = await of('user');
    const token = await impersonate(client, user, admin);
    expect((await client('POST', '/api/auth/revoke', formOf({ token }))).status).toBe(200);
    expect([await profileStatus(token), await profileStatus(user.token)]).toEqual([401, 200]);
    const [event] = await eventually('the event', () => audited(user.id, 'session_ended'));
    expect(event).toMatchObject({ actor: admin.id, impersonated: user.id });
  });

  const patch = (id: string, body: object) =>
    client('PATCH', `/api/users/${id}`, { token: admin.token, body });
  type Act = (user: Person, actor: Person) => Promise<Answer>;
  test.each<[string, Act]>([
    [
      'with all sessions of the user',
      (user) => client('POST', '/api/auth/logout?scope=global', { token: user.token }),
    ],
    [
      'with a new password of the user',
      (user) =>
        client('PATCH', '/api/auth/password', {
          token: user.token,
          body: { current_password: PASSWORD, new_password: `${PASSWORD} 2` },
        }),
    ],
    ['with another role of the user', (user) => patch(user.id, { role: 'support' })],
    [
      'with the removal of the user',
      (user) => client('DELETE', '/api/users/me', { token: user.token }),
    ],
    [
      "with the administrator's session",
      (_, actor) => client('POST', '/api/auth/logout', { token: actor.token }),
    ],
    [
      "with all the administrator's sessions",
      (_, actor) => client('POST', '/api/auth/logout?scope=global', { token: actor.token }),
    ],
    [
      'when another session of the administrator ends it',
      async (_, actor) => {
        const token = await login(client, actor.email, PASSWORD);
        return client('POST', '/api/auth/logout?scope=others', { token });
      },
    ],
    ['with the role of the administrator', (_, actor) => patch(actor.id, { role: 'user' })],
    [
      'with the removal of the administrator',
      (_, actor) => client('DELETE', `/api/users/${actor.id}`, { token: admin.token }),
    ],
  ])('%s', async (_, act) => {
    const [user, actor] = await Promise.all([of('user'), of('agent')]);
    const token = await impersonate(client, user, actor);
    expect(await profileStatus(token)).toBe(200);
    expect((await act(user, actor)).status).toBeLessThan(300);
    expect(await profileStatus(token)).toBe(401);
    const body = { name: 'Written by nobody' };
    expect((await client('PATCH', '/api/users/me', { token, body })).status).toBe(401);
  });

  test('not when the administrator changes the password and keeps the session', async () => {
    const [user, actor] = await Promise.all([of('user'), of('agent')]);
    const token = await impersonate(client, user, actor);
    const answer = await client('PATCH', '/api/auth/password', {
      token: actor.token,
      body: { current_password: PASSWORD, new_password: `${PASSWORD} 2` },
    });
    expect([answer.status, await profileStatus(token)]).toEqual([200, 200]);
  });
});
