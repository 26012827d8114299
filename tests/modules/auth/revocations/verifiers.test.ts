import { createVerifier, type Verifier } from '../../../../packages/verifier/src';
import { parseConfig } from '../../../../src/kernel/config/config';
import { createKeyRevocation } from '../../../../src/modules/auth';
import { createLogger } from '../../../../src/platform/telemetry/logger';
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

const ISSUER = 'http://auth.example.test';
const SETTINGS = {
  JWT_SECRET: '',
  KEY_ENCRYPTION_SECRET: 'Q7pZ2mX9'.repeat(5),
  PUBLIC_URL: ISSUER,
};
let mongo: TestMongo;
/** Two hosts: the verifiers look at one, the changes are made at the other. */
let hosts: readonly TestService[];
let near: Client;
let far: Client;
let admin: string;
let credentials: { clientId: string; clientSecret: string };
const verifiers: Verifier[] = [];

const account = async (scopes: string[]) => {
  const body = { name: 'Orders', scopes };
  const { json } = await near('POST', '/api/service-accounts', { token: admin, body });
  return { clientId: json.id as string, clientSecret: json.client_secret as string };
};

/** The requests of one verifier, which a test may cut off. */
function network() {
  const cut = { isCut: false };
  const through: typeof fetch = async (url, init) => {
    if (cut.isCut) throw new TypeError('fetch failed');
    const target = String(url).replace(ISSUER, (hosts[1] as TestService).baseUrl);
    const answer = await fetch(target, init);
    if (cut.isCut) throw new TypeError('terminated');
    return answer;
  };
  return { cut, through };
}

async function follow(options: Partial<Parameters<typeof createVerifier>[0]> = {}) {
  const { cut, through } = network();
  const verifier = createVerifier({
    ...{ issuer: ISSUER, audience: 'api', fetch: through, allowHttp: true, credentials },
    whenSilent: 'refuse',
    ...options,
  });
  verifiers.push(verifier);
  await verifier.ready;
  return { verifier, cut };
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'accepted',
    (error: { code?: string }) => error.code,
  );

/** A look that takes too long, on a busy machine, lets a verifier decide nothing for a while. */
const decisionOf = (verifier: Verifier, token: string) =>
  eventually('a decision', async () => {
    const code = await codeOf(verifier.verify(token));
    return code !== 'not_current' && code;
  });

beforeAll(async () => {
  mongo = await startTestMongo();
  const first = await startTestService(SETTINGS, mongo);
  hosts = [first, await startTestService(SETTINGS, mongo)];
  near = createClient(first.baseUrl);
  far = createClient((hosts[1] as TestService).baseUrl);
  admin = await login(near, first.admin.email, first.admin.password);
  credentials = await account(['revocations:read', 'tokens:introspect']);
});
afterAll(async () => {
  for (const one of verifiers) one.close();
  for (const host of hosts ?? []) await host.close();
  await mongo?.close();
});

const merge = { 'content-type': 'application/merge-patch+json' };
const sidOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string })
    .sid;
const form = (fields: Record<string, string>) => ({
  raw: new URLSearchParams(fields).toString(),
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
});

/** Each way to end a token: after the answer no verifier accepts it. */
const ends: Record<string, () => Promise<{ ended: string[]; stands: string[]; status: number }>> = {
  async logout() {
    const one = await register(near);
    const other = await login(near, one.user.email, PASSWORD);
    const { status } = await near('POST', '/api/auth/logout', { token: one.access_token });
    return { ended: [one.access_token], stands: [other], status };
  },
  async 'logout of the others'() {
    const one = await register(near);
    const other = await login(near, one.user.email, PASSWORD);
    const token = one.access_token;
    const { status } = await near('POST', '/api/auth/logout?scope=others', { token });
    return { ended: [other], stands: [token], status };
  },
  async 'logout everywhere'() {
    const one = await register(near);
    const other = await login(near, one.user.email, PASSWORD);
    const { status } = await near('POST', '/api/auth/logout?scope=global', { token: other });
    const again = await login(near, one.user.email, PASSWORD);
    return { ended: [one.access_token, other], stands: [again], status };
  },
  async 'the end of one session'() {
    const one = await register(near);
    const other = await login(near, one.user.email, PASSWORD);
    const path = `/api/auth/sessions/${sidOf(other)}`;
    const { status } = await near('DELETE', path, { token: one.access_token });
    return { ended: [other], stands: [one.access_token], status };
  },
  async 'a ban'() {
    const one = await register(near);
    const path = `/api/users/${one.user.id}/ban`;
    const { status } = await near('POST', path, { token: admin, body: {} });
    return { ended: [one.access_token], stands: [admin], status };
  },
  async 'another role'() {
    const one = await register(near);
    const { status } = await near('PATCH', `/api/users/${one.user.id}`, {
      ...{ token: admin, body: { role: 'support' }, headers: merge },
    });
    const again = await login(near, one.user.email, PASSWORD);
    return { ended: [one.access_token], stands: [again], status };
  },
  async 'another password'() {
    const one = await register(near);
    const other = await login(near, one.user.email, PASSWORD);
    const { status } = await near('PATCH', '/api/auth/password', {
      token: one.access_token,
      body: { current_password: PASSWORD, new_password: 'another horse battery' },
    });
    return { ended: [other], stands: [one.access_token], status };
  },
  async 'a removal'() {
    const one = await register(near);
    const { status } = await near('DELETE', `/api/users/${one.user.id}`, { token: admin });
    return { ended: [one.access_token], stands: [admin], status };
  },
  async 'the revocation of a refresh token (RFC 7009)'() {
    const one = await register(near);
    const fields = form({ token: one.refresh_token });
    const { status } = await near('POST', '/api/auth/revoke', fields);
    return { ended: [one.access_token], stands: [], status };
  },
  async 'the revocation of a token of a service account'() {
    const { clientId: client_id, clientSecret: client_secret } = await account(['users:read']);
    const grant = { grant_type: 'client_credentials', client_id, client_secret };
    const tokenOf = async () =>
      (await near('POST', '/api/auth/token', form(grant))).json.access_token as string;
    const [one, other] = [await tokenOf(), await tokenOf()];
    const { status } = await near('POST', '/api/auth/revoke', form({ token: one }));
    return { ended: [one], stands: [other], status };
  },
  async 'the revocation of a service account'() {
    const { clientId: client_id, clientSecret: client_secret } = await account(['users:read']);
    const grant = { grant_type: 'client_credentials', client_id, client_secret };
    const one = (await near('POST', '/api/auth/token', form(grant))).json.access_token as string;
    const path = `/api/service-accounts/${client_id}`;
    const { status } = await near('DELETE', path, { token: admin });
    return { ended: [one], stands: [], status };
  },
  async 'the end of the session of an administrator who acts as a user'() {
    const boss = await login(near, hosts[0]?.admin.email ?? '', hosts[0]?.admin.password ?? '');
    const one = await register(near);
    const grant = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: one.user.id,
      subject_token_type: 'urn:token-type:user_id',
      actor_token: boss,
      actor_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    };
    const acting = (await near('POST', '/api/auth/token', form(grant))).json.access_token as string;
    const { status } = await near('POST', '/api/auth/logout', { token: boss });
    return { ended: [acting, boss], stands: [one.access_token], status };
  },
};

test.each(Object.entries(ends))(
  '%s reaches a verifier before it is acknowledged',
  async (_, end) => {
    const { verifier } = await follow();
    const { ended, stands, status } = await end();
    const codes = await Promise.all(ended.map((token) => codeOf(verifier.verify(token))));
    expect([Math.floor(status / 100), codes]).toEqual([
      2,
      expect.not.arrayContaining(['accepted']),
    ]);
    const decided = await Promise.all(
      [...ended, ...stands].map((token) => decisionOf(verifier, token)),
    );
    expect(decided).toEqual([...ended.map(() => 'ended_token'), ...stands.map(() => 'accepted')]);
    verifier.close();
  },
);

test('a verifier that is cut off stops deciding before the write is acknowledged', async () => {
  const { verifier, cut } = await follow();
  const one = await register(near);
  expect(await decisionOf(verifier, one.access_token)).toBe('accepted');
  cut.isCut = true;
  const began = performance.now();
  await near('POST', '/api/auth/logout', { token: one.access_token });
  expect(await codeOf(verifier.verify(one.access_token))).toBe('not_current');
  expect(performance.now() - began).toBeLessThan(2500);
  expect(verifier.isCurrent).toBe(false);
  cut.isCut = false;
  verifier.close();
});

test('a verifier that is cut off asks the service, where it is told to', async () => {
  const { through } = network();
  let looks = true;
  const fetchOf: typeof fetch = (url, init) => {
    if (!looks && String(url).includes('/revocations')) throw new TypeError('fetch failed');
    return through(url, init);
  };
  const { verifier } = await follow({ fetch: fetchOf, whenSilent: 'introspect' });
  const one = await register(near);
  const other = await login(near, one.user.email, PASSWORD);
  looks = false;
  await near('POST', '/api/auth/logout', { token: one.access_token });
  expect(await decisionOf(verifier, one.access_token)).toBe('ended_token');
  expect(verifier.isCurrent).toBe(false);
  expect(await decisionOf(verifier, other)).toBe('accepted');
  verifier.close();
});

test('a verifier that starts later knows the ends from before, when there was none', async () => {
  const gone = await register(near);
  await near('DELETE', `/api/users/${gone.user.id}`, { token: admin });
  const one = await register(near);
  await near('POST', '/api/auth/logout', { token: one.access_token });
  const { verifier } = await follow();
  for (const { access_token } of [gone, one])
    expect(await decisionOf(verifier, access_token)).toBe('ended_token');
  verifier.close();
});

test('the log has no gap, and a position that it does not have is 410', async () => {
  const token = (
    await near(
      'POST',
      '/api/auth/token',
      form({
        grant_type: 'client_credentials',
        client_id: credentials.clientId,
        client_secret: credentials.clientSecret,
      }),
    )
  ).json.access_token as string;
  const path = '/api/auth/revocations';
  const all = await far('GET', path, { token });
  const numbers = all.json.data.map(({ sequence }: { sequence: number }) => sequence);
  expect(numbers.length).toBeGreaterThan(5);
  expect(numbers).toEqual(numbers.map((_: number, i: number) => i + 1));
  const second = await far('GET', `${path}?after=1&limit=2`, { token });
  expect(second.json).toMatchObject({ next_after: 3, has_more: true, lease_ms: 1000 });
  const beyond = await far('GET', `${path}?after=${numbers.length + 1000}`, { token });
  expect([beyond.status, beyond.json.code]).toEqual([410, 'position_gone']);
  const revocations = hosts[0]?.database.connection.collection<{ _id: number }>('revocations');
  await revocations?.deleteMany({ _id: { $lt: 3 } });
  expect((await far('GET', `${path}?after=1`, { token })).json.code).toBe('position_gone');
  expect((await far('GET', path, { token })).json.data[0].sequence).toBe(3);
  expect((await far('GET', `${path}?after=2`, { token })).status).toBe(200);
  const waiting = performance.now();
  const last = second.json.next_after as number;
  expect(last).toBe(3);
  const end = numbers.length;
  await far('GET', `${path}?after=${end}&wait=200`, { token });
  expect(performance.now() - waiting).toBeGreaterThan(190);
});

test('a session without a record is not said to have ended before a verifier knows', async () => {
  const settings = { ...SETTINGS, REVOCATION_LEASE_MS: '5000' };
  const host = await startTestService(settings, mongo);
  let isCut = false;
  const fetchOf: typeof fetch = async (url, init) => {
    const answer = isCut ? undefined : await fetch(String(url).replace(ISSUER, host.baseUrl), init);
    // An answer that was under way is lost, too.
    if (answer === undefined || isCut) throw new TypeError('fetch failed');
    return answer;
  };
  const { verifier } = await follow({ fetch: fetchOf });
  const one = await register(near);
  expect(await decisionOf(verifier, one.access_token)).toBe('accepted');
  isCut = true;
  const path = `/api/users/${one.user.id}`;
  const banned = near('POST', `${path}/ban`, { token: admin, body: {} });
  await eventually(
    'the ban',
    async () => (await far('GET', path, { token: admin })).json.status === 'banned',
  );
  // As the clean-up of an import does, which waits for no verifier.
  const rows = host.database.connection.collection<{ _id: string }>('sessions');
  const sid = sidOf(one.access_token);
  await rows.deleteOne({ _id: sid });
  expect((await near('DELETE', `${path}/sessions/${sid}`, { token: admin })).status).toBe(204);
  expect(await codeOf(verifier.verify(one.access_token))).toBe('not_current');
  expect((await banned).status).toBe(200);
  verifier.close();
  await host.close();
}, 60_000);

// Last: it ends every token.
test('tokens of a removed key are refused before the key is removed', async () => {
  const { verifier } = await follow();
  const { connection, clock } = (hosts[0] as TestService).database;
  const one = (await register(near)).access_token;
  const header = Buffer.from(one.split('.')[0] ?? '', 'base64url').toString();
  const { kid } = JSON.parse(header) as { kid: string };
  const config = parseConfig({ NODE_ENV: 'test', ...SETTINGS });
  const log = createLogger({ level: 'silent' });
  const revoke = createKeyRevocation({ config, connection, log, now: clock.now });
  expect(await decisionOf(verifier, one)).toBe('accepted');
  await revoke([kid]);
  expect(await decisionOf(verifier, one)).toBe('ended_token');
  verifier.close();
});
