import { ConfigError, parseConfig } from '../../../src/kernel/config/config';
import { startTestService, type TestService } from '../../support/app';
import { type Client, createClient, login, PASSWORD, register } from '../../support/http';

const NAMED = Array.from({ length: 6 }, (_, i) => `https://example.org/claims/number${i}`);
let service: TestService;
let client: Client;
let adminToken: string;
let jose: typeof import('jose');

beforeAll(async () => {
  jose = await import('jose');
  service = await startTestService({
    JWT_SECRET: '',
    KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5),
    // The longest signatures.
    SIGNING_ALGORITHM: 'RS256',
    TOKEN_CLAIMS: [
      ...['app_metadata.plan', 'tier:app_metadata.billing.tier', 'external_id', 'app_metadata.max'],
      ...NAMED.map((name, i) => `${name}:app_metadata.n${i}`),
    ].join(),
  });
  client = createClient(service.baseUrl);
  adminToken = await login(client, service.admin.email, service.admin.password);
});
afterAll(() => service?.close());

const write = async (id: string, body: unknown) =>
  expect((await client('PATCH', `/api/users/${id}`, { token: adminToken, body })).status).toBe(200);

test('claims as of the issue, in a token that a stock verifier accepts', async () => {
  const { user, access_token, refresh_token } = await register(client);
  expect(jose.decodeJwt(access_token)).not.toHaveProperty('plan');
  await write(user.id, {
    app_metadata: { plan: 'pro', billing: { tier: 3 }, max: false, other: 'x' },
    user_metadata: { plan: 'mine' },
    private_metadata: { plan: 'hidden' },
    external_id: `crm ${user.id}`,
  });
  const claims = { plan: 'pro', tier: 3, max: false, external_id: `crm ${user.id}` };
  const keys = jose.createRemoteJWKSet(new URL(`${service.baseUrl}/.well-known/jwks.json`));
  const own = jose.decodeJwt(access_token);
  const { json } = await client('POST', '/api/auth/refresh', { body: { refresh_token } });
  for (const token of [json.access_token, await login(client, user.email, PASSWORD)]) {
    const { payload } = await jose.jwtVerify(token, keys, {
      ...{ issuer: String(own.iss), audience: String(own.aud), typ: 'at+jwt' },
    });
    expect(payload).toMatchObject({ ...claims, sub: user.id, role: 'user' });
    expect(payload).not.toHaveProperty('other');
    expect((await client('GET', '/api/auth/profile', { token })).status).toBe(200);
  }
});

test('only short strings, numbers and booleans make a claim', async () => {
  const { user } = await register(client);
  const values = { plan: ['pro'], max: 'x'.repeat(127), billing: [{ tier: 1 }] };
  await write(user.id, { app_metadata: values });
  const claims = jose.decodeJwt(await login(client, user.email, PASSWORD));
  expect(['plan', 'max', 'tier', 'external_id'].filter((name) => name in claims)).toEqual([]);
  await write(user.id, { app_metadata: { plan: '', max: 0, billing: 'x' } });
  expect(jose.decodeJwt(await login(client, user.email, PASSWORD))).toMatchObject({
    plan: '',
    max: 0,
  });
});

test('a token with every claim at its longest is accepted', async () => {
  const { user } = await register(client);
  const long = 'x'.repeat(126);
  const numbered = Object.fromEntries(NAMED.map((_, i) => [`n${i}`, long]));
  const app_metadata = { plan: long, max: long, billing: { tier: long }, ...numbered };
  await write(user.id, { app_metadata, external_id: `${user.id}${'x'.repeat(102)}` });
  const token = await login(client, user.email, PASSWORD);
  const claims = jose.decodeJwt(token);
  for (const name of ['plan', 'max', 'tier', 'external_id', ...NAMED])
    expect([name, String(claims[name]).length]).toEqual([name, 126]);
  expect(token.length).toBeLessThan(4096);
  expect((await client('GET', '/api/auth/profile', { token })).status).toBe(200);
});

const faultOf = (env: Record<string, string>): string => {
  try {
    parseConfig(env);
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
};

test.each([
  ['user_metadata.plan', 'users write user_metadata themselves'],
  ['app_metadata', 'must name external_id or members'],
  ['app_metadata.a.b.c.d', 'must name external_id or members'],
  ['app_metadata.role', 'app_role:app_metadata.role'],
  ['sub:app_metadata.id', 'meaning of its own'],
  ['role:app_metadata.x', 'as app_role:app_metadata.x'],
  ['app_metadata.role', 'as app_role:app_metadata.role'],
  ['groups:app_metadata.id', 'meaning of its own'],
  ['1:app_metadata.id', 'by a letter'],
  ['app_metadata.7', 'by a letter'],
  ['app_metadata.plan,plan:external_id', 'another name'],
  ['plan:app_metadata.__proto__', 'must name members that app_metadata can have'],
  [Array.from({ length: 11 }, (_, i) => `app_metadata.p${i}`).join(), 'at most 10'],
])('TOKEN_CLAIMS=%s is refused at the start', (value, message) => {
  expect(faultOf({ TOKEN_CLAIMS: value })).toContain(message);
});

test.each([
  ['private_metadata.x', 'must name members'],
  ['app_metadata', 'must name members'],
  ['app_metadata.a.b.c.d', 'must name members'],
  ['app_metadata.$x', 'must name members'],
  ['app_metadata.a,app_metadata.a', 'once'],
  ['app_metadata.a.constructor', 'must name members that metadata can have'],
  [Array.from({ length: 11 }, (_, i) => `app_metadata.p${i}`).join(), 'at most 10'],
])('METADATA_INDEXED=%s is refused at the start', (value, message) => {
  expect(faultOf({ METADATA_INDEXED: value })).toContain(message);
});
