import { createTail } from '../../../../src/modules/auth/revocations/tail';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, login, PASSWORD, register } from '../../../support/http';

const ISSUER = 'http://auth.example.test';
const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
const PATH = '/api/auth/security-events';
let service: TestService;
let client: Client;
let jose: typeof import('jose');
let receiver: { id: string; token: string };
let keys: ReturnType<typeof import('jose').createRemoteJWKSet>;

const form = (fields: Record<string, string>) => ({
  raw: new URLSearchParams(fields).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
});
const sidOf = (token: string) => jose.decodeJwt(token)['sid'] as string;

/** As a stranger does: by the metadata and the published keys alone. */
async function verified(set: string) {
  const { payload } = await jose.jwtVerify(set, keys, {
    ...{ issuer: ISSUER, audience: receiver.id, typ: 'secevent+jwt' },
    requiredClaims: ['jti', 'iat', 'events', 'sub_id'],
  });
  return payload;
}

const poll = async (body: object) => {
  const answer = await client('POST', PATH, { token: receiver.token, body });
  expect(answer.status).toBe(200);
  const { sets, moreAvailable } = answer.json as {
    sets: Record<string, string>;
    moreAvailable: boolean;
  };
  const payloads = await Promise.all(Object.values(sets).map(verified));
  expect(payloads.map(({ jti }) => jti)).toEqual(Object.keys(sets));
  return { ids: Object.keys(sets), payloads, moreAvailable };
};
const now = { returnImmediately: true } as const;

beforeAll(async () => {
  jose = await import('jose');
  service = await startTestService({
    JWT_SECRET: '',
    KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5),
    PUBLIC_URL: ISSUER,
  });
  client = createClient(service.baseUrl);
  const admin = await login(client, service.admin.email, service.admin.password);
  const body = { name: 'Receiver', scopes: ['revocations:read'] };
  const { json } = await client('POST', '/api/service-accounts', { token: admin, body });
  const grant = { grant_type: 'client_credentials', client_id: json.id };
  const tokens = await client(
    'POST',
    '/api/auth/token',
    form({ ...grant, client_secret: json.client_secret }),
  );
  receiver = { id: json.id, token: tokens.json.access_token };
  const metadata = (await client('GET', '/.well-known/ssf-configuration')).json;
  expect(metadata).toMatchObject({
    issuer: ISSUER,
    delivery_methods_supported: ['urn:ietf:rfc:8936'],
  });
  const local = (url: string) => new URL(url.replace(ISSUER, service.baseUrl));
  keys = jose.createRemoteJWKSet(local(metadata.jwks_uri));
  const { token } = receiver;
  const stream = await client('GET', new URL(metadata.configuration_endpoint).pathname, { token });
  expect(stream.json.delivery.endpoint_url).toBe(`${ISSUER}${PATH}`);
});
afterAll(() => service?.close());

test('ended sessions are sent until they are acknowledged, each by itself', async () => {
  expect((await poll(now)).ids).toEqual([]);
  const one = await register(client);
  const other = await login(client, one.user.email, PASSWORD);
  await client('POST', '/api/auth/logout', { token: one.access_token });
  const first = await eventually(1);
  expect(first.payloads[0]).toMatchObject({
    sub_id: {
      format: 'complex',
      user: { format: 'iss_sub', iss: ISSUER, sub: one.user.id },
      session: { format: 'opaque', id: sidOf(one.access_token) },
    },
    events: { [SESSION_REVOKED]: { event_timestamp: expect.any(Number) } },
  });
  await client('POST', '/api/auth/logout?scope=global', { token: other });
  const both = await eventually(2);
  expect(both.payloads[1]).toMatchObject({
    sub_id: { format: 'iss_sub', iss: ISSUER, sub: one.user.id },
  });
  expect(await poll({ ...now, maxEvents: 1 })).toMatchObject({
    ids: [both.ids[0]],
    moreAvailable: true,
  });
  // The later one first: the earlier one is still sent.
  expect((await poll({ ...now, ack: [both.ids[1]] })).ids).toEqual([both.ids[0]]);
  const setErrs = { [both.ids[0] as string]: { err: 'invalid_request', description: 'odd' } };
  expect(await poll({ maxEvents: 0, setErrs })).toMatchObject({ ids: [], moreAvailable: false });
  expect((await poll(now)).ids).toEqual([]);
});

test('acknowledgements of several polls at once are all kept', async () => {
  const token = await login(client, service.admin.email, service.admin.password);
  for (let n = 0; n < 6; n += 1) {
    const { user } = await register(client);
    await client('DELETE', `/api/users/${user.id}`, { token });
  }
  const { ids } = await eventually(6);
  // Not the first one: a position alone would not say what is done.
  await Promise.all(ids.slice(1).map((id) => poll({ maxEvents: 0, ack: [id] })));
  expect((await poll(now)).ids).toEqual([ids[0]]);
  await poll({ maxEvents: 0, ack: [ids[0]] });
  expect((await poll(now)).ids).toEqual([]);
});

test('a poll waits for the next event', async () => {
  const one = await register(client);
  const waiting = poll({});
  await client('DELETE', `/api/users/${one.user.id}`, {
    token: await login(client, service.admin.email, service.admin.password),
  });
  let got = await waiting;
  // A sweep may have moved the one before meanwhile.
  for (let n = 0; got.ids.length === 0 && n < 3; n += 1) got = await poll({});
  expect(got.payloads).toMatchObject([{ sub_id: { sub: one.user.id } }]);
});

test('while a poll waits, ends are moved to the log without a verifier', async () => {
  let moves = 0;
  let last = 0;
  const tail = createTail(
    async () => last,
    async () => {
      moves += 1;
      // The second move finds one.
      if (moves === 2) last = 1;
    },
  );
  await tail.waitFor(0, 60_000);
  expect(moves).toBe(2);
  await tail.waitFor(0, 60_000);
  expect(moves).toBeLessThanOrEqual(3);
});

/** An account whose token the service has given, and which ends while its request waits. */
test.each([
  ['a poll', 'POST', PATH, {}],
  ['a look', 'GET', '/api/auth/revocations?wait=5000&after=', undefined],
] as const)(
  '%s of an account that ends while it waits is refused',
  async (_, method, path, body) => {
    const token = await login(client, service.admin.email, service.admin.password);
    const account = { name: 'Ends', scopes: ['revocations:read'] };
    const { json } = await client('POST', '/api/service-accounts', { token, body: account });
    const grant = { grant_type: 'client_credentials', client_id: json.id };
    const fields = form({ ...grant, client_secret: json.client_secret });
    const own = (await client('POST', '/api/auth/token', fields)).json.access_token as string;
    const page = await client('GET', '/api/auth/revocations', { token: own });
    const at = path.endsWith('=') ? `${path}${page.json.next_after}` : path;
    // The stream of a receiver begins with its first poll.
    await client('POST', PATH, { token: own, body: now });
    const waiting = client(method, at, { token: own, ...(body && { body }) });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await client('DELETE', `/api/service-accounts/${json.id}`, { token })).status).toBe(
      204,
    );
    expect((await waiting).status).toBe(401);
  },
);

test('the end of a service account is told to nobody as that of a user', async () => {
  await poll({ ...now, ack: (await poll(now)).ids });
  const token = await login(client, service.admin.email, service.admin.password);
  const body = { name: 'Short-lived', scopes: ['users:read'] };
  const { json } = await client('POST', '/api/service-accounts', { token, body });
  await client('DELETE', `/api/service-accounts/${json.id}`, { token });
  const one = await register(client);
  await client('POST', '/api/auth/logout', { token: one.access_token });
  const { payloads } = await eventually(1);
  expect(JSON.stringify(payloads)).not.toContain(json.id);
});

test('many entries without an event hold up none behind them', async () => {
  await poll({ ...now, ack: (await poll(now)).ids });
  const log = service.database.connection.collection<{ _id: number; at: Date }>('revocations');
  const [last] = await log.find().sort({ _id: -1 }).limit(1).toArray();
  const from = (last?._id ?? 0) + 1;
  const ended = { type: 'tokens_ended', subject: '652f1c3e9b1d4a0012ab34cd', tokens: ['x'] };
  const at = new Date();
  await log.insertMany(Array.from({ length: 2100 }, (_, n) => ({ _id: from + n, at, ...ended })));
  const one = await register(client);
  await client('POST', '/api/auth/logout', { token: one.access_token });
  const { payloads } = await eventually(1);
  expect(payloads.at(-1)).toMatchObject({ sub_id: { user: { sub: one.user.id } } });
});

/** Without verifiers the entries are moved within seconds. */
async function eventually(count: number) {
  for (let n = 0; n < 100; n += 1) {
    const got = await poll(now);
    if (got.ids.length >= count) return got;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`there were never ${count} events`);
}
