import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';

const NOBODY = '652f1c3e9b1d4a0012ab34cd';

/** Two workers on one database. */
let mongo: TestMongo;
let services: readonly TestService[];
let here: Client;
let there: Client;
let admin: string;

beforeAll(async () => {
  mongo = await startTestMongo();
  services = [await startTestService({}, mongo), await startTestService({}, mongo)];
  [here, there] = services.map(({ baseUrl }) => createClient(baseUrl)) as [Client, Client];
  const { email, password } = services[0]?.admin ?? { email: '', password: '' };
  admin = await login(here, email, password);
});
afterAll(async () => {
  for (const service of services ?? []) await service.close();
  await mongo?.close();
});

const rows = (name: string) => services[0]?.database.connection.collection(name);
const signIn = async (email: string) =>
  (await here('POST', '/api/auth/login', { body: { email, password: PASSWORD } })).json as {
    access_token: string;
    refresh_token: string;
  };
const profiles = (token: string) =>
  Promise.all(
    [here, there].map(
      async (client) => (await client('GET', '/api/auth/profile', { token })).status,
    ),
  );
const refresh = async (refresh_token: string) =>
  (await there('POST', '/api/auth/refresh', { body: { refresh_token } })).status;
const sessionsOf = async (id: string, token = admin) =>
  (await here('GET', `/api/users/${id}/sessions`, { token })).json.data as { id: string }[];
const audited = (subject: string, type: string) =>
  eventually(type, async () => (await rows('audit_events')?.findOne({ subject, type })) ?? false);

test('the sessions of a user are shown as the user sees them, but for the current one', async () => {
  const { user, access_token } = await register(here);
  await signIn(user.email);
  const own = (await here('GET', '/api/auth/sessions', { token: access_token })).json.data;
  const shown = await sessionsOf(user.id);
  expect(shown).toHaveLength(2);
  const other = own.map((one: object) => ({ ...one, current: false }));
  expect(shown).toEqual(other);
});

test('the session of the request is the current one', async () => {
  const me = (await here('GET', '/api/users/me', { token: admin })).json.id;
  const current = (await sessionsOf(me)).filter((one) => 'current' in one && one.current);
  expect(current).toHaveLength(1);
});

test('one session ends at once on every worker, the others stay', async () => {
  const { user, access_token, refresh_token } = await register(here);
  const other = await signIn(user.email);
  expect(await profiles(access_token)).toEqual([200, 200]);
  const [newest] = await sessionsOf(user.id);
  const path = `/api/users/${user.id}/sessions/${newest?.id}`;
  expect((await here('DELETE', path, { token: admin })).status).toBe(204);
  expect(await profiles(other.access_token)).toEqual([401, 401]);
  expect(await refresh(other.refresh_token)).toBe(401);
  expect(await profiles(access_token)).toEqual([200, 200]);
  expect(await refresh(refresh_token)).toBe(200);
  const me = (await here('GET', '/api/users/me', { token: admin })).json.id;
  expect(await audited(user.id, 'session_ended')).toMatchObject({
    ...{ actor: me, session: newest?.id, reason: 'administration', result: 'success' },
  });
  // Idempotent, and recorded once.
  expect((await here('DELETE', path, { token: admin })).status).toBe(204);
  expect(await rows('audit_events')?.countDocuments({ subject: user.id })).toBeLessThan(4);
});

test('all sessions end at once on every worker, and later ones do not', async () => {
  const { user, access_token, refresh_token } = await register(here);
  const other = await signIn(user.email);
  for (const { access_token: token } of [{ access_token }, other])
    expect(await profiles(token)).toEqual([200, 200]);
  const path = `/api/users/${user.id}/sessions`;
  expect((await here('DELETE', path, { token: admin })).status).toBe(204);
  for (const token of [access_token, other.access_token])
    expect(await profiles(token)).toEqual([401, 401]);
  for (const token of [refresh_token, other.refresh_token]) expect(await refresh(token)).toBe(401);
  expect(await sessionsOf(user.id)).toEqual([]);
  expect(await profiles((await signIn(user.email)).access_token)).toEqual([200, 200]);
  const me = (await here('GET', '/api/users/me', { token: admin })).json.id;
  expect(await audited(user.id, 'sessions_ended')).toMatchObject({
    ...{ actor: me, reason: 'administration', result: 'success' },
  });
});

test('a session of another user is not ended', async () => {
  const [one, other] = [await register(here), await register(here)];
  const [session] = await sessionsOf(other.user.id);
  const path = `/api/users/${one.user.id}/sessions/${session?.id}`;
  expect((await here('DELETE', path, { token: admin })).status).toBe(204);
  expect(await profiles(other.access_token)).toEqual([200, 200]);
});

test.each([
  ['GET', ''],
  ['DELETE', ''],
  ['DELETE', `/${NOBODY}`],
])('%s of nobody%s: 404', async (method, rest) => {
  const answer = await here(method, `/api/users/${NOBODY}/sessions${rest}`, { token: admin });
  expect([answer.status, answer.json.code]).toEqual([404, 'user_not_found']);
});

test.each(['me', 'x', '0'.repeat(23)])('a path with the id %s: 400', async (id) => {
  const answer = await here('GET', `/api/users/${id}/sessions`, { token: admin });
  expect([answer.status, answer.json.code]).toEqual([400, 'invalid_path_parameter']);
});

test('support reads the sessions of everyone and ends none', async () => {
  const { user } = await register(here);
  await here('PATCH', `/api/users/${user.id}`, { token: admin, body: { role: 'support' } });
  const { access_token: token } = await signIn(user.email);
  const me = (await here('GET', '/api/users/me', { token: admin })).json.id;
  expect((await sessionsOf(me, token)).length).toBeGreaterThan(0);
  const answer = await here('DELETE', `/api/users/${me}/sessions`, { token });
  expect([answer.status, answer.json.code]).toEqual([403, 'forbidden']);
  expect(await profiles(admin)).toEqual([200, 200]);
});
