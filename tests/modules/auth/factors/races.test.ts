import { type MongoProxy, startMongoProxy } from '../../../../faults/mongo-proxy';
import { startTestService, type TestService } from '../../../support/app';
import { appOf, claimsIn, firstStep, laterOn, verify, withTotp } from '../../../support/factors';
import { type Client, createClient, eventually, register } from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { PASSKEY_SETTINGS, passkeyPage } from '../../../support/passkeys';

/** Two hosts on one database; the second reaches it through the proxy. */
let mongo: TestMongo;
let proxy: MongoProxy;
let hosts: readonly TestService[];
let near: Client;
let far: Client;
beforeAll(async () => {
  mongo = await startTestMongo();
  proxy = await startMongoProxy(mongo.uri);
  const direct = await startTestService(PASSKEY_SETTINGS, mongo);
  hosts = [direct, await startTestService(PASSKEY_SETTINGS, proxy)];
  near = createClient(direct.baseUrl);
  far = createClient(hosts[1]?.baseUrl ?? '');
});
afterEach(() => proxy.pass());
afterAll(async () => {
  for (const host of hosts ?? []) await host.close();
  await proxy?.close();
  await mongo?.close();
});

const host = () => hosts[0] as TestService;
const factorsOf = async (token: string) =>
  (await near('GET', '/api/auth/factors', { token })).json.data as {
    kind: string;
    remaining?: number;
  }[];

test('a session has no factor that was removed while it was checked', async () => {
  const { id, email, app, factorId, token } = await withTotp(host(), near);
  const opened = await verify(near, await firstStep(near, email), app());
  const other = opened.json.access_token as string;
  await laterOn(host(), id);
  // On its way to the session's row, after the code was found right.
  proxy.holdFrom('firstAmr');
  const body = { factor: 'totp', code: app() };
  const steppingUp = far('POST', '/api/auth/mfa/step-up', { token: other, body });
  await eventually('the write', () => proxy.isHolding());
  const removed = await near('DELETE', `/api/auth/factors/${factorId}`, { token });
  proxy.release();
  expect(removed.status).toBe(204);
  const answer = await steppingUp;
  expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([422, 'wrong_code']);
  const session = await host()
    .database.connection.collection<{ _id: string }>('sessions')
    .findOne({ _id: String(claimsIn(other)['sid']) });
  expect(session).toMatchObject({ stepUpEnded: true });
});

test('of two first factors that are added at once, one answer has the recovery codes', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { user, access_token: token } = await register(near);
    const page = passkeyPage(far);
    const enrolled = await near('POST', '/api/auth/factors/totp', { token, body: {} });
    const { public_key } = (await page.creation(token)).json;
    const { credential } = page.authenticator.create(public_key, {});
    const code = appOf(enrolled.json.otpauth_uri)();
    const answers = await Promise.all([
      near('POST', '/api/auth/factors/totp/confirm', { token, body: { code } }),
      page.register(token, credential),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 201]);
    const shown = answers.flatMap(({ json }) => (json.recovery_codes as string[]) ?? []);
    expect(shown).toHaveLength(10);
    const used = await verify(
      near,
      await firstStep(near, user.email),
      shown[0] ?? '',
      'recovery_code',
    );
    expect([used.status, used.json.recovery_codes_left]).toEqual([200, 9]);
  }
});

test('a factor that is added while the last one is removed has recovery codes that work', async () => {
  for (let round = 0; round < 5; round += 1) {
    const { email, factorId, token, recoveryCodes } = await withTotp(host(), near);
    const page = passkeyPage(far);
    const { public_key } = (await page.creation(token)).json;
    const { credential } = page.authenticator.create(public_key, {});
    const [removed, added] = await Promise.all([
      near('DELETE', `/api/auth/factors/${factorId}`, { token }),
      page.register(token, credential),
    ]);
    expect(removed.status).toBe(204);
    // Of a removal that came first its session has no factor any more, and adds none.
    if (added.status !== 201) continue;
    const codes = (added.json.recovery_codes as string[] | undefined) ?? recoveryCodes;
    expect((await factorsOf(added.json.access_token)).map(({ kind }) => kind).sort()).toEqual([
      'passkey',
      'recovery_code',
    ]);
    const mfaToken = await firstStep(near, email);
    expect((await verify(near, mfaToken, codes[0] ?? '', 'recovery_code')).status).toBe(200);
  }
});
