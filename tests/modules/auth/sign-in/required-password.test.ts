import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../../support/http';

const NEXT = 'another long password';

let service: TestService;
let client: Client;
let admin: string;
beforeAll(async () => {
  service = await startTestService();
  client = createClient(service.baseUrl);
  admin = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const rows = (name: string) => service.database.connection.collection(name);
const demand = (id: string, body: object = {}) =>
  client('POST', `/api/users/${id}/require-password-change`, { token: admin, body });
const signIn = (email: string, password = PASSWORD) =>
  client('POST', '/api/auth/login', { body: { email, password } });
const replace = (token: string, new_password = NEXT) =>
  client('POST', '/api/auth/password/required', { body: { token, new_password } });
const profile = async (token: string) =>
  (await client('GET', '/api/auth/profile', { token })).status;
const isRequired = async (id: string) =>
  (await client('GET', `/api/users/${id}`, { token: admin })).json.password_change_required;
const audited = (subject: string, type: string, more: object = {}) =>
  eventually(
    type,
    async () => (await rows('audit_events').findOne({ subject, type, ...more })) ?? false,
  );

async function required() {
  const { user, access_token } = await register(client);
  expect((await demand(user.id)).status).toBe(200);
  return { user, access_token };
}
async function tokenOf(email: string): Promise<string> {
  const { status, json } = await signIn(email);
  expect([status, json.code, json.expires_in]).toEqual([403, 'password_change_required', 600]);
  return json.password_change_token;
}

test('the next login asks for a new password, and the token sets it and signs in', async () => {
  const { user, access_token } = await register(client);
  const answer = await demand(user.id);
  expect([answer.status, answer.json.password_change_required]).toEqual([200, true]);
  expect(await profile(access_token)).toBe(401);
  expect((await signIn(user.email, 'not the password')).json.code).toBe('invalid_credentials');
  const { status, json } = await replace(await tokenOf(user.email));
  expect([status, json.user.id]).toEqual([200, user.id]);
  expect(await profile(json.access_token)).toBe(200);
  expect(await isRequired(user.id)).toBe(false);
  expect((await signIn(user.email)).json.code).toBe('invalid_credentials');
  expect((await signIn(user.email, NEXT)).status).toBe(200);
  const me = (await client('GET', '/api/users/me', { token: admin })).json.id;
  await audited(user.id, 'password_change_required', { actor: me, reason: 'sessions_ended' });
  await audited(user.id, 'login', { result: 'failure', reason: 'password_change_required' });
  await audited(user.id, 'password_changed', { actor: user.id });
});

test('end_sessions: false leaves the sessions', async () => {
  const { user, access_token } = await register(client);
  expect((await demand(user.id, { end_sessions: false })).status).toBe(200);
  expect(await profile(access_token)).toBe(200);
  expect((await signIn(user.email)).json.code).toBe('password_change_required');
});

test('the token works once, also at the same time', async () => {
  const { user } = await required();
  const token = await tokenOf(user.email);
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, i) => replace(token, `${NEXT} ${i}`)),
  );
  const codes = answers.map(({ status, json }) => json.code ?? status).toSorted();
  expect(codes).toEqual([200, ...Array(5).fill('invalid_password_change_token')]);
  expect((await replace(token)).json.code).toBe('invalid_password_change_token');
});

test('another login replaces the token; the database keeps only its digest', async () => {
  const { user } = await required();
  const [first, second] = [await tokenOf(user.email), await tokenOf(user.email)];
  expect((await replace(first)).json.code).toBe('invalid_password_change_token');
  const stored = await rows('one_time_tokens').find({ userId: user.id }).toArray();
  expect(stored).toHaveLength(1);
  expect(JSON.stringify(stored)).not.toContain(second);
  expect((await replace(second)).status).toBe(200);
});

test('the token expires by the database, and an unknown one is refused', async () => {
  const { user } = await required();
  const token = await tokenOf(user.email);
  await rows('one_time_tokens').updateMany({ userId: user.id }, [
    { $set: { until: { $subtract: ['$$NOW', 1] } } },
  ]);
  for (const one of [token, 'x'.repeat(43)])
    expect((await replace(one)).json.code).toBe('invalid_password_change_token');
  expect((await replace('short')).json.errors[0]).toMatchObject({ pointer: '/token' });
});

test.each([
  [PASSWORD, 'password_unchanged'],
  ['short', 'too_short'],
  ['Ada Lovelace', 'password_is_identity'],
])('the new password %j is refused, and the token stays good', async (password, code) => {
  const { user } = await required();
  const token = await tokenOf(user.email);
  const { status, json } = await replace(token, password);
  expect([status, json.errors[0]]).toMatchObject([422, { pointer: '/new_password', code }]);
  expect((await replace(token)).status).toBe(200);
});

test.each<[string, (id: string, token: string) => Promise<unknown>]>([
  ['a ban', (id) => client('POST', `/api/users/${id}/ban`, { token: admin, body: {} })],
  [
    'the end of all sessions',
    (id) => client('DELETE', `/api/users/${id}/sessions`, { token: admin }),
  ],
  ['another demand', (id) => demand(id)],
])('the token is void after %s', async (_what, act) => {
  const { user } = await required();
  const token = await tokenOf(user.email);
  await act(user.id, token);
  expect((await replace(token)).json.code).toBe('invalid_password_change_token');
});

test('a change of the password by a session that was kept clears the demand', async () => {
  const { user, access_token } = await register(client);
  await demand(user.id, { end_sessions: false });
  const token = await tokenOf(user.email);
  const body = { current_password: PASSWORD, new_password: NEXT };
  const changed = await client('PATCH', '/api/auth/password', { token: access_token, body });
  expect([changed.status, await isRequired(user.id)]).toEqual([200, false]);
  expect((await replace(token)).json.code).toBe('invalid_password_change_token');
  expect((await signIn(user.email, NEXT)).status).toBe(200);
});

test('a right and a wrong password cost the same work', async () => {
  const { user } = await required();
  const spent = async (password: string) => {
    const times: number[] = [];
    for (let i = 0; i < 8; i += 1) {
      const began = performance.now();
      await signIn(user.email, password);
      times.push(performance.now() - began);
      await rows('counters').deleteMany({});
    }
    return times.toSorted((a, b) => a - b)[3] ?? 0;
  };
  const [wrong, right] = [await spent('not the password'), await spent(PASSWORD)];
  // Beside the one hash, the right one stores a token, as a login stores a session.
  expect(right).toBeLessThan(wrong + 200);
});
