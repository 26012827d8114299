import { startTestService, type TestService } from '../../support/app';
import { BUSY_SETTINGS, type BusyUser, collectionsWith, liveBusily } from '../../support/busy-life';
import { type Client, createClient, eventually, login, register } from '../../support/http';
import { impersonate, personOf } from '../../support/impersonation';

/** The section of the export for each collection that holds something about a user. */
const SECTIONS: Readonly<Record<string, string>> = {
  users: 'account',
  sessions: 'sessions',
  known_devices: 'devices',
  one_time_tokens: 'one_time_tokens',
  mail_queue: 'mails',
  service_accounts: 'service_accounts',
  passkeys: 'passkeys',
  recovery_codes: 'factors',
  audit_events: 'audit_events',
  jobs: 'jobs',
  events: 'events',
  webhooks: 'webhooks',
};

/** Collections that the export leaves out. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  revocations: 'For a day, which tokens have ended; `events` has the same ends of sessions.',
};

let service: TestService;
let client: Client;
let user: BusyUser;

beforeAll(async () => {
  service = await startTestService(BUSY_SETTINGS);
  client = createClient(service.baseUrl);
  user = await liveBusily(service);
});
afterAll(() => service?.close());

const PATH = '/api/users/me/export';
const exported = (token: string) => client('GET', PATH, { token });
const documents = (name: string) => service.database.connection.collection(name).find().toArray();

test('every collection that holds the id or the address is a section, with its content', async () => {
  const answer = await exported(user.token);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-disposition')).toMatch(/^attachment/);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  const all = Object.entries(await collectionsWith(service, [user.id, user.email]));
  const held = Object.fromEntries(all.filter(([name]) => LEFT_OUT[name] === undefined));
  expect(Object.keys(held).filter((name) => SECTIONS[name] === undefined)).toEqual([]);
  for (const [name, count] of Object.entries(held)) {
    const section = answer.json[SECTIONS[name] as string];
    if (!Array.isArray(section)) continue;
    // The export itself is audited meanwhile; factors are of several collections.
    expect({ name, count: section.length }).toEqual({
      name,
      count: ['audit_events', 'recovery_codes'].includes(name) ? expect.any(Number) : count,
    });
    expect(section.length).toBeGreaterThan(0);
  }
  expect(Object.keys(held)).toEqual(expect.arrayContaining(['users', 'sessions', 'mail_queue']));
  expect(answer.json.account).toMatchObject({
    id: user.id,
    email: user.email,
    user_metadata: { theme: 'dark' },
    app_metadata: { plan: 'gold' },
    private_metadata: { note: 'pays late' },
  });
  expect(answer.json.mails).toEqual(
    expect.arrayContaining([expect.objectContaining({ kind: 'reset-password', to: user.email })]),
  );
  const kinds = (answer.json.factors as { kind: string }[]).map(({ kind }) => kind);
  expect(kinds.toSorted()).toEqual(['passkey', 'recovery_code']);
  expect(answer.json.service_accounts).toMatchObject([{ id: user.serviceAccount }]);
});

test('it holds no hash, token or secret, and nothing about others', async () => {
  const { text, json } = await exported(user.token);
  const [sessions, tokens, devices, [account], [program]] = await Promise.all([
    documents('sessions'),
    documents('one_time_tokens'),
    documents('known_devices'),
    service.database.connection.collection('users').find({ email: user.email }).toArray(),
    documents('service_accounts'),
  ]);
  const [handle] = await documents('passkeys');
  const secrets = [
    handle?.['handle'],
    ...sessions.flatMap(({ family, tokenHash }) => [family, tokenHash]),
    ...[...tokens, ...devices].map(({ _id }) => String(_id)),
    account?.['passwordHash'],
    program?.['secretHash'],
  ] as string[];
  expect(secrets.length).toBeGreaterThan(10);
  for (const secret of secrets) {
    expect(secret.length).toBeGreaterThan(20);
    expect(text).not.toContain(secret);
  }
  const admin = await service.database.connection
    .collection('users')
    .findOne({ email: service.admin.email });
  expect(text).not.toContain(String(admin?._id));
  const byAnother = (json.audit_events as Record<string, unknown>[]).filter(
    ({ by }) => by === 'another',
  );
  expect(byAnother.length).toBeGreaterThan(0);
  for (const event of byAnother) expect(event).toMatchObject({ network: null, user_agent: null });
});

test('the notes about the user are in it, and none that the user wrote about another', async () => {
  const { json } = await exported(user.token);
  const events = json.audit_events as Record<string, unknown>[];
  // The ban is over: the account says nothing of it any more.
  expect(json.account.ban ?? null).toBeNull();
  expect(events.filter(({ type }) => type === 'account_banned')).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ account: 'you', note: `mails from ${user.email}` }),
      expect.objectContaining({ account: 'another', note: null }),
    ]),
  );
});

test('the sessions of the user are named in it, and those of others are not', async () => {
  const [one, root] = [await register(client), await personOf(service, client, 'admin')];
  const own = (await client('GET', '/api/auth/sessions', { token: one.access_token })).json.data;
  const [{ id: kept }] = own;
  const token = await login(client, one.user.email, one.password);
  await client('DELETE', `/api/auth/sessions/${kept}`, { token });
  const found = await eventually('the event', async () => {
    const { json } = await exported(token);
    return (json.audit_events as Record<string, unknown>[]).find(({ session }) => session === kept);
  });
  expect(found).toMatchObject({ account: 'you', type: 'session_ended' });

  const next = (await client('GET', '/api/auth/sessions', { token })).json.data[0].id;
  const path = `/api/users/${one.user.id}/sessions/${next}`;
  expect((await client('DELETE', path, { token: root.token })).status).toBe(204);
  const ended = await eventually('the end by another', async () => {
    const { json } = await exported(root.token);
    return (json.audit_events as Record<string, unknown>[]).find(
      ({ type }) => type === 'session_ended',
    );
  });
  expect(ended).toMatchObject({ account: 'another', session: null });
});

test('a long audit log comes completely, in pages', async () => {
  const { user: other, access_token: token } = await register(client);
  const events = service.database.connection.collection('audit_events');
  await eventually('the registration', () => events.findOne({ subject: other.id }));
  const row = { type: 'login', result: 'success', subject: other.id, actor: other.id };
  const rest = { network: '192.0.2.9', userAgent: 'x', requestId: 'x' };
  const until = new Date(Date.now() + 60_000);
  // Many at one time: the order needs the id too.
  await events.insertMany(
    Array.from({ length: 1750 }, (_, i) => ({ ...row, ...rest, at: new Date(i % 3), until })),
  );
  const { json } = await exported(token);
  const ids = (json.audit_events as { id: string; type: string }[])
    .filter(({ type }) => type === 'login')
    .map(({ id }) => id);
  expect(ids).toHaveLength(1750);
  expect(new Set(ids).size).toBe(1750);
});

test('it is audited, and a HEAD is not', async () => {
  const { user: other, access_token: token } = await register(client);
  expect((await client('HEAD', PATH, { token })).status).toBe(200);
  expect((await exported(token)).status).toBe(200);
  const events = service.database.connection.collection('audit_events');
  const found = () => events.find({ subject: other.id, type: 'personal_data_exported' }).toArray();
  await eventually('the event', async () => (await found()).length > 0);
  expect(await found()).toMatchObject([{ actor: other.id, result: 'success' }]);
});

test('an administrator who acts as the user does not get it', async () => {
  const { user: other } = await register(client);
  const admin = await personOf(service, client, 'admin');
  const refused = await exported(await impersonate(client, other, admin));
  expect([refused.status, refused.json.code]).toEqual([403, 'impersonation_forbidden']);
});

test('it needs a recent login, and is not for service accounts', async () => {
  const { user: other, access_token: token } = await register(client);
  await service.database.connection
    .collection('sessions')
    .updateOne({ userId: other.id }, { $set: { createdAt: new Date(Date.now() - 3_600_000) } });
  const old = await exported(token);
  expect([old.status, old.json.code]).toEqual([401, 'insufficient_user_authentication']);

  const admin = await login(client, service.admin.email, service.admin.password);
  const created = await client('POST', '/api/service-accounts', {
    token: admin,
    body: { name: 'Export', scopes: ['users:read', 'users:export'] },
  });
  const granted = await client('POST', '/api/auth/token', {
    raw: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: created.json.id,
      client_secret: created.json.client_secret,
    }).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  const refused = await exported(granted.json.access_token);
  expect([refused.status, refused.json.code]).toEqual([403, 'insufficient_scope']);
});
