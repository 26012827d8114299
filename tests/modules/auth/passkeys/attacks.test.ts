import { sha256 } from '../../../../src/kernel/crypto/digest';
import { startTestService, type TestService } from '../../../support/app';
import { firstStep } from '../../../support/factors';
import {
  type Answer,
  type Client,
  createClient,
  eventually,
  register,
} from '../../../support/http';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import {
  auditedOf,
  PASSKEY_SETTINGS,
  passkeyPage,
  storedPasskey,
  withPasskey,
} from '../../../support/passkeys';

const PATH = '/api/auth/passkeys';

/** Two hosts on one database. */
let mongo: TestMongo;
let hosts: readonly [TestService, TestService];
let clients: readonly [Client, Client];
let client: Client;
let page: ReturnType<typeof passkeyPage>;
const log: { readonly msg?: string; readonly userId?: string }[] = [];
beforeAll(async () => {
  mongo = await startTestMongo();
  const settings = { ...PASSKEY_SETTINGS, LOG_LEVEL: 'warn' };
  const logTo = { write: (line: string) => log.push(JSON.parse(line)) };
  hosts = [
    await startTestService(settings, mongo, logTo),
    await startTestService(settings, mongo, logTo),
  ];
  clients = [createClient(hosts[0].baseUrl), createClient(hosts[1].baseUrl)];
  client = clients[0];
  page = passkeyPage(client);
});
afterAll(async () => {
  for (const host of hosts ?? []) await host.close();
  await mongo?.close();
});

const rows = (name: string) => hosts[0].database.connection.collection<{ _id: string }>(name);
const sessionsOf = (userId: string) => rows('sessions').countDocuments({ userId } as object);
const codes = (answers: readonly Answer[]) =>
  answers.map(({ status, json }) => json?.code ?? status);
const USED = 'invalid_passkey_challenge';

/** The same request at once, six times, over both hosts; the connections are open before. */
async function onBothHosts(send: (its: Client, i: number) => Promise<Answer>) {
  const six = Array.from({ length: 6 }, (_, i) => clients[(i % 2) as 0 | 1]);
  await Promise.all(six.map((its) => its('GET', PATH)));
  return Promise.all(six.map(send));
}

const account = () => withPasskey(client);

const secondFactorOptions = async (mfa_token: string) =>
  (await client('POST', `${PATH}/second-factor/options`, { body: { mfa_token } })).json.public_key;
const stepUpOptions = async (token: string) =>
  (await client('POST', `${PATH}/step-up/options`, { token })).json.public_key;
const signInOptions = async () => (await page.request()).json.public_key;
const verify = (mfa_token: string, credential: object, its = client) =>
  its('POST', '/api/auth/mfa/verify', { body: { mfa_token, factor: 'passkey', credential } });
const stepUp = (token: string, credential: object) =>
  client('POST', '/api/auth/mfa/step-up', { token, body: { factor: 'passkey', credential } });

describe('a challenge', () => {
  test('of a sign-in, answered on two hosts at once, opens one session (planted: found, then deleted)', async () => {
    const { id, passkey } = await account();
    const before = await sessionsOf(id);
    const credential = page.authenticator.get(await signInOptions(), passkey);
    const answers = await onBothHosts((its) => passkeyPage(its).signIn(credential));
    expect(codes(answers).sort()).toEqual([200, ...Array(5).fill(USED)]);
    expect(codes([await page.signIn(credential)])).toEqual([USED]);
    expect(await sessionsOf(id)).toBe(before + 1);
  });

  test('of a registration, answered on two hosts at once, adds one passkey', async () => {
    const { access_token: token } = await register(client);
    const options = (await page.creation(token)).json.public_key;
    const answers = await onBothHosts((its) =>
      passkeyPage(its).register(token, page.authenticator.create(options).credential),
    );
    expect(codes(answers).sort()).toEqual([201, ...Array(5).fill(USED)]);
    expect(await page.list(token)).toHaveLength(1);
  });

  test('of a second factor, answered on two hosts at once, opens one session', async () => {
    const { id, email, passkey } = await account();
    const token = await firstStep(client, email);
    const before = await sessionsOf(id);
    const credential = page.authenticator.get(await secondFactorOptions(token), passkey);
    const answers = await onBothHosts((its) => verify(token, credential, its));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await sessionsOf(id)).toBe(before + 1);
  });

  test('that a wrong answer has used is used (planted: consumed after the check)', async () => {
    const { passkey } = await account();
    const options = await signInOptions();
    const wrong = page.authenticator.get(options, passkey, { origin: 'https://evil.test' });
    expect(codes([await page.signIn(wrong)])).toEqual(['invalid_passkey']);
    const right = page.authenticator.get(options, passkey);
    expect(codes([await page.signIn(right)])).toEqual([USED]);
  });

  test('answers its own purpose alone, and stays unused by others (planted: no purpose)', async () => {
    const { id, email, passkey, token } = await account();
    const pending = await firstStep(client, email);
    const issued = {
      signIn: await signInOptions(),
      factor: await secondFactorOptions(pending),
      stepUp: await stepUpOptions(token),
      registration: (await page.creation(token)).json.public_key,
    };
    const uses = {
      signIn: (challenge: string) =>
        page.signIn(page.authenticator.get(issued.signIn, passkey, { challenge })),
      stepUp: (challenge: string) =>
        stepUp(token, page.authenticator.get(issued.factor, passkey, { challenge })),
      factor: (challenge: string) =>
        verify(pending, page.authenticator.get(issued.factor, passkey, { challenge })),
      // The last one: it ends the pending sign-in.
      registration: (challenge: string) =>
        page.register(
          token,
          page.authenticator.create(issued.registration, { challenge }).credential,
        ),
    };
    type Purpose = keyof typeof uses;
    for (const use of Object.keys(uses) as Purpose[])
      for (const of of Object.keys(issued) as Purpose[])
        if (use !== of) {
          const answer = await uses[use](issued[of].challenge);
          expect([use, of, ...codes([answer])]).toEqual([use, of, USED]);
        }
    const before = await sessionsOf(id);
    for (const use of Object.keys(uses) as Purpose[])
      expect((await uses[use](issued[use].challenge)).status).toBeLessThan(300);
    expect(await sessionsOf(id)).toBe(before + 2);
  });

  test('answers its own session and its own sign-in alone (planted: no binding)', async () => {
    const [one, other] = [await account(), await account()];
    const second = (await page.use(one.passkey)).json.access_token;
    const creation = (await page.creation(one.token)).json.public_key;
    for (const token of [second, other.token]) {
      const { credential } = page.authenticator.create(creation);
      expect(codes([await page.register(token, credential)])).toEqual([USED]);
    }
    const options = await stepUpOptions(one.token);
    const stolen = page.authenticator.get(options, one.passkey);
    expect(codes([await stepUp(second, stolen)])).toEqual([USED]);
    const [mine, later] = [await firstStep(client, one.email), await firstStep(client, one.email)];
    const theirs = await firstStep(client, other.email);
    const answer = page.authenticator.get(await secondFactorOptions(mine), one.passkey);
    expect(codes([await verify(theirs, answer), await verify(later, answer)])).toEqual([
      USED,
      USED,
    ]);
    expect((await verify(mine, answer)).status).toBe(200);
  });

  test('ends at its time by the database (planted: no expiry)', async () => {
    const { email, passkey, token } = await account();
    const pending = await firstStep(client, email);
    const options = await signInOptions();
    const factor = await secondFactorOptions(pending);
    const creation = (await page.creation(token)).json.public_key;
    for (const { challenge } of [options, factor, creation])
      expect(
        await rows('passkey_challenges').updateOne(
          { _id: sha256(challenge) },
          { $set: { until: new Date(Date.now() - 1) } },
        ),
      ).toMatchObject({ matchedCount: 1 });
    const answers = [
      await page.signIn(page.authenticator.get(options, passkey)),
      await verify(pending, page.authenticator.get(factor, passkey)),
      await page.register(token, page.authenticator.create(creation).credential),
    ];
    expect(codes(answers)).toEqual([USED, USED, USED]);
  });

  test('drops the oldest of more than five of one session (planted: all are kept)', async () => {
    const { passkey, token } = await account();
    const issued: Awaited<ReturnType<typeof stepUpOptions>>[] = [];
    for (let i = 0; i < 6; i += 1) issued.push(await stepUpOptions(token));
    const [first, second] = issued.map((options) => page.authenticator.get(options, passkey));
    expect(codes([await stepUp(token, first ?? {})])).toEqual([USED]);
    expect((await stepUp(token, second ?? {})).status).toBe(200);
  });
});

test('one credential, registered by two accounts on two hosts at once, is of one (planted: no unique index)', async () => {
  const credentialId = 'c2FtZS1jcmVkZW50aWFs';
  const users = [await register(client), await register(client)];
  const credentials = await Promise.all(
    users.map(async ({ access_token }) => {
      const options = (await page.creation(access_token)).json.public_key;
      return page.authenticator.create(options, { credentialId }).credential;
    }),
  );
  const answers = await Promise.all(
    users.map(({ access_token }, i) =>
      passkeyPage(clients[i as 0 | 1]).register(access_token, credentials[i] ?? {}),
    ),
  );
  expect(codes(answers).sort()).toEqual([201, 'passkey_exists']);
});

test('a counter that does not grow signs in, and is logged and audited (planted: no report)', async () => {
  const { id, passkey } = await account();
  const stalled = () => auditedOf(hosts[0], id, 'passkey_counter_stalled');
  const logged = () =>
    log.filter(({ msg, userId }) => msg === 'passkey counter did not grow' && userId === id);
  for (const counter of [5, 6]) expect((await page.use({ ...passkey, counter })).status).toBe(200);
  for (const counter of [6, 3, 0])
    expect((await page.use({ ...passkey, counter })).status).toBe(200);
  expect((await storedPasskey(hosts[0], passkey.id))?.['counter']).toBe(6);
  expect((await page.use({ ...passkey, counter: 7 })).status).toBe(200);
  const events = await eventually('three events', async () => {
    const found = await stalled();
    return found.length >= 3 && found;
  });
  expect(events).toHaveLength(3);
  expect(events[0]).toMatchObject({ actor: id, result: 'failure', reason: passkey.passkeyId });
  expect(logged()).toHaveLength(3);
  expect(logged()[1]).toMatchObject({ passkey: passkey.passkeyId, stored: 6, counter: 3 });
});
