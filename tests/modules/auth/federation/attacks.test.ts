import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { startTestService, type TestService } from '../../../support/app';
import {
  CLIENT,
  callbackOf,
  createFront,
  federationSettings,
  PAGE,
  PUBLIC_URL,
  sha256,
} from '../../../support/federation';
import {
  type HostileProvider,
  signed,
  startHostileProvider,
  unsigned,
} from '../../../support/hostile-provider';
import { type Answer, type Client, createClient, uniqueEmail } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { startTestProvider, type TestProvider } from '../../../support/oidc-provider';

let mongo: TestMongo;
let example: TestProvider;
let hostile: HostileProvider;
let service: TestService;
let host: TestService;
let client: Client;

beforeAll(async () => {
  mongo = await startTestMongo();
  example = await startTestProvider({ ...CLIENT, redirectUri: callbackOf('example') });
  hostile = await startHostileProvider(CLIENT.clientId);
  const settings = {
    ...federationSettings({ example: example.issuer, hostile: hostile.issuer }),
    OIDC_TIMEOUT_MS: '1000',
  };
  service = await startTestService(settings, mongo);
  host = await startTestService(settings, mongo);
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await host?.close();
  await service?.close();
  await hostile?.close();
  await example?.close();
  await mongo?.close();
});
beforeEach(async () => {
  const claims = { email: uniqueEmail(), email_verified: true };
  await example.become({ sub: randomBytes(8).toString('hex'), claims });
});

const outcome = ({ status, json }: Answer) => [status, json?.code];
const front = () => createFront(client);
const REFUSED = [400, 'invalid_sign_in_attempt'];
/** The URL of the callback, before a browser has gone there. */
async function untilCallback(id = 'example') {
  const stopped = createFront(client, [callbackOf(id)]);
  const { url, set } = await stopped.signIn(id);
  const cookie = set.find((line) => line.startsWith('__Host-oidc='))?.split(';')[0] ?? '';
  return { path: url.pathname + url.search, url, cookie, verifier: stopped.verifier };
}
const get = (path: string, cookie?: string) =>
  client('GET', path, cookie === undefined ? {} : { headers: { cookie } });
const steps = () => service.database.connection.collection('federation_steps');

describe('the browser', () => {
  test('gets a cookie that neither a script nor another site can use or plant', async () => {
    const { set } = await front().signIn('example');
    expect(set[0]).toMatch(
      /^__Host-oidc=[\w-]{43}; Max-Age=600; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
    );
  });

  test('without the cookie of the start is refused, and the attempt stays (login CSRF)', async () => {
    const { path, cookie } = await untilCallback();
    expect(outcome(await get(path))).toEqual(REFUSED);
    expect(outcome(await get(path, `__Host-oidc=${'A'.repeat(43)}`))).toEqual(REFUSED);
    const victim = await untilCallback();
    expect(outcome(await get(path, victim.cookie))).toEqual(REFUSED);
    expect(outcome(await get(path, `${cookie}; ${victim.cookie}`))).toEqual(REFUSED);
    expect((await get(path, cookie)).headers.get('location')).toContain(`${PAGE}?code=`);
  });

  test('uses a state once, on one of two hosts', async () => {
    const { path, cookie } = await untilCallback();
    const there = createClient(host.baseUrl);
    const both = await Promise.all([
      get(path, cookie),
      there('GET', path, { headers: { cookie } }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual([303, 400]);
    expect(outcome(await get(path, cookie))).toEqual(REFUSED);
  });

  test('comes too late for an attempt that has expired by the clock of the database', async () => {
    const { path, cookie, url } = await untilCallback();
    const _id = sha256(url.searchParams.get('state') ?? '') as never;
    await steps().updateOne({ _id }, { $set: { until: new Date(Date.now() - 1000) } });
    expect(outcome(await get(path, cookie))).toEqual(REFUSED);
  });

  test('finds no secret of an attempt in the database', async () => {
    const { url, cookie } = await untilCallback();
    const rows = JSON.stringify(await steps().find().toArray());
    for (const secret of [url.searchParams.get('state'), cookie.split('=')[1]])
      expect(rows).not.toContain(secret);
  });
});

describe('an answer', () => {
  test('of one provider is none for another (mix-up)', async () => {
    const { url, cookie } = await untilCallback();
    expect(outcome(await get(`/api/auth/oidc/hostile/callback${url.search}`, cookie))).toEqual(
      REFUSED,
    );
  });

  test.each([
    ['another issuer', () => 'https://honest.example.org'],
    ['no issuer', () => undefined],
  ])('that names %s is refused where the provider names itself (RFC 9207)', async (_, iss) => {
    hostile.iss = iss;
    const { url } = await front().signIn('hostile');
    hostile.iss = () => hostile.issuer;
    expect(url.href).toBe(`${PAGE}?error=oidc_answer_invalid`);
  });

  test('with the code of another attempt is refused (code injection)', async () => {
    const one = await untilCallback();
    const two = await untilCallback();
    two.url.searchParams.set('code', one.url.searchParams.get('code') ?? '');
    const answer = await get(two.url.pathname + two.url.search, two.cookie);
    expect(answer.headers.get('location')).toBe(`${PAGE}?error=oidc_answer_invalid`);
  });

  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  test.each<[string, Partial<HostileProvider>]>([
    ['no signature', { sign: unsigned }],
    ['the signature of another key', { sign: (claims) => signed(stranger, claims) }],
    ['the nonce of another attempt', { idToken: (claims) => ({ ...claims, nonce: 'old' }) }],
    ['no nonce', { idToken: ({ nonce: _, ...claims }) => claims }],
    ['another audience', { idToken: (claims) => ({ ...claims, aud: 'another' }) }],
    [
      'another authorized party',
      { idToken: (claims) => ({ ...claims, aud: [CLIENT.clientId, 'b'], azp: 'b' }) },
    ],
    ['the issuer of another', { idToken: (claims) => ({ ...claims, iss: example.issuer }) }],
    ['an expiry that has passed', { idToken: (claims) => ({ ...claims, exp: 1_700_000_000 }) }],
    ['no subject', { idToken: ({ sub: _, ...claims }) => claims }],
  ])('whose ID token has %s is refused', async (_, lie) => {
    const honest = { sign: hostile.sign, idToken: hostile.idToken };
    Object.assign(hostile, lie);
    const { url } = await front().signIn('hostile');
    Object.assign(hostile, honest);
    expect(url.href).toBe(`${PAGE}?error=oidc_answer_invalid`);
    expect((await front().signIn('hostile')).url.searchParams.get('code')).not.toBeNull();
  });
});

test.each([
  `${PAGE}/`,
  `${PAGE}/../evil`,
  `${PAGE}?next=1`,
  `${PAGE}.evil.org`,
  `${PAGE}#x`,
  PAGE.toUpperCase(),
  PAGE.replace('https', 'http'),
  PAGE.replace('https://', 'https://user@'),
  'https://app.example.org@evil.org/signed-in',
  'https://app.example.org\\@evil.org/signed-in',
  '//evil.org',
  '/\\evil.org',
  'javascript:alert(1)',
  ` ${PAGE}`,
])('no redirect goes to %s', async (page) => {
  const query = new URLSearchParams({ redirect_to: page, code_challenge: sha256('x') });
  const answer = await get(`/api/auth/oidc/example/start?${query}`);
  expect(outcome(answer)).toEqual([400, 'invalid_query']);
  expect(answer.headers.get('location')).toBeNull();
});

describe('the code of the page', () => {
  test('is used up by a wrong verifier', async () => {
    const mine = front();
    const back = await mine.signIn('example');
    const stolen = await mine.redeem(back, randomBytes(32).toString('base64url'));
    expect(outcome(stolen)).toEqual([400, 'invalid_provider_code']);
    expect(outcome(await mine.redeem(back))).toEqual([400, 'invalid_provider_code']);
  });

  test('is used once, also by two hosts at once', async () => {
    const mine = front();
    const { url } = await mine.signIn('example');
    const body = { code: url.searchParams.get('code'), code_verifier: mine.verifier };
    const there = createClient(host.baseUrl);
    const answers = await Promise.all(
      [client, there, client, there].map((one) => one('POST', '/api/auth/oidc/token', { body })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400]);
  });

  test('expires by the clock of the database', async () => {
    const mine = front();
    const back = await mine.signIn('example');
    const _id = sha256(back.url.searchParams.get('code') ?? '') as never;
    await steps().updateOne({ _id }, { $set: { until: new Date(Date.now() - 1000) } });
    expect(outcome(await mine.redeem(back))).toEqual([400, 'invalid_provider_code']);
  });
});

test('no URL on the way has a token', async () => {
  const { visited } = await front().signIn('example');
  expect(visited.join(' ')).not.toMatch(/ey[JI]|access_token|refresh_token/);
  expect(visited.at(-1)).toMatch(new RegExp(`^${PAGE}\\?code=[\\w-]{43}$`));
  expect(visited[0]?.startsWith(PUBLIC_URL)).toBe(true);
});

describe('a provider', () => {
  /** A service of its own: metadata is cached. */
  async function withLie<T>(lie: Partial<HostileProvider>, work: (one: Client) => Promise<T>) {
    const honest = { instead: hostile.instead, metadata: hostile.metadata };
    const settings = federationSettings({ hostile: hostile.issuer, example: example.issuer });
    const fresh = await startTestService({ ...settings, OIDC_TIMEOUT_MS: '500' }, mongo);
    Object.assign(hostile, lie);
    try {
      return await work(createClient(fresh.baseUrl));
    } finally {
      Object.assign(hostile, honest);
      await fresh.close();
    }
  }
  const huge = Buffer.alloc(600_000, ' ');
  test.each<[string, Partial<HostileProvider>, string]>([
    ['that is dead', { instead: (_, { socket }) => socket?.destroy() }, 'provider_unavailable'],
    ['that never answers', { instead: () => undefined }, 'provider_unavailable'],
    ['that fails', { instead: (_, to) => to.writeHead(502).end() }, 'provider_unavailable'],
    [
      'that answers without end',
      { instead: (_, to) => to.writeHead(200, { 'content-type': 'application/json' }).end(huge) },
      'answer_invalid',
    ],
    [
      'that redirects',
      { instead: (_, to) => to.writeHead(302, { location: 'http://127.0.0.1:1/' }).end() },
      'answer_invalid',
    ],
    [
      'that names another issuer',
      { metadata: (one) => ({ ...one, issuer: 'https://honest.example.org' }) },
      'answer_invalid',
    ],
  ])('%s sends back to the page, soon, and no other waits for it', async (_, lie, code) => {
    await withLie(lie, async (one) => {
      const began = performance.now();
      const [bad, good] = await Promise.all([
        createFront(one).signIn('hostile'),
        createFront(one).signIn('example'),
      ]);
      expect(bad.url.href).toBe(`${PAGE}?error=oidc_${code}`);
      expect(good.url.searchParams.get('code')).not.toBeNull();
      const asked = hostile.count('/.well-known/openid-configuration');
      const again = await createFront(one).signIn('hostile');
      expect(again.url.href).toBe(`${PAGE}?error=oidc_${code}`);
      expect(hostile.count('/.well-known/openid-configuration')).toBe(asked);
      expect(performance.now() - began).toBeLessThan(8000);
    });
  });
});
