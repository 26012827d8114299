import { startTestService, type TestService } from '../../../support/app';
import { firstStep, verify } from '../../../support/factors';
import { type Answer, type Client, createClient } from '../../../support/http';
import { impersonate, personOf } from '../../../support/impersonation';
import { startTestMongo, type TestMongo } from '../../../support/mongo';
import { PASSKEY_SETTINGS, passkeyPage, withPasskey } from '../../../support/passkeys';

const PATH = '/api/auth/passkeys';

/** One database under services of other settings. */
let mongo: TestMongo;
let service: TestService;
let client: Client;
let page: ReturnType<typeof passkeyPage>;
beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startTestService(PASSKEY_SETTINGS, mongo);
  client = createClient(service.baseUrl);
  page = passkeyPage(client);
});
afterAll(async () => {
  await service?.close();
  await mongo?.close();
});

const codes = (answers: readonly Answer[]) =>
  answers.map(({ status, json }) => json?.code ?? status);

async function withSettings(
  settings: Record<string, string>,
  work: (its: Client) => Promise<void>,
) {
  const other = await startTestService(settings, mongo);
  try {
    await work(createClient(other.baseUrl));
  } finally {
    await other.close();
  }
}

test('without user verification, a passkey is a second factor where that is only preferred', async () => {
  const { email, passkey, token } = await withPasskey(client);
  const unverified = { userVerified: false };
  const added = await page.add(token, unverified);
  const pending = await firstStep(client, email);
  expect((await page.verify(pending, added, unverified)).status).toBe(200);
  await withSettings(
    { ...PASSKEY_SETTINGS, PASSKEY_USER_VERIFICATION: 'required' },
    async (its) => {
      const there = passkeyPage(its);
      const options = (await there.creation(token)).json.public_key;
      expect(options.authenticatorSelection.userVerification).toBe('required');
      const { credential } = there.authenticator.create(options, unverified);
      const refused = [
        await there.register(token, credential),
        await there.verify(await firstStep(its, email), added, unverified),
        await there.stepUp(token, passkey, unverified),
      ];
      expect(codes(refused)).toEqual([
        'passkey_not_accepted',
        'invalid_passkey',
        'invalid_passkey',
      ]);
      expect((await there.verify(await firstStep(its, email), added)).status).toBe(200);
    },
  );
});

test('a service without passkeys says so, and still asks an account for its factor', async () => {
  const { email, passkey } = await withPasskey(client);
  const [code] = passkey.added.recovery_codes;
  await withSettings({ PUBLIC_URL: 'http://127.0.0.1:3000' }, async (its) => {
    const there = passkeyPage(its);
    const pending = await firstStep(its, email);
    const opened = await verify(its, await firstStep(its, email), code, 'recovery_code');
    const token = String(opened.json.access_token);
    const answer = page.authenticator.get((await page.request()).json.public_key, passkey);
    const refused = [
      await there.creation(token),
      await there.request(),
      await its('POST', `${PATH}/second-factor/options`, { body: { mfa_token: pending } }),
      await there.signIn(answer),
    ];
    expect(codes(refused)).toEqual(refused.map(() => 'passkeys_not_configured'));
    const { json } = await its('GET', PATH, { token });
    expect([json.rp_id, json.data.length]).toEqual([null, 1]);
  });
});

test('an administrator who acts as the user cannot touch its passkeys', async () => {
  const admin = await personOf(service, client, 'admin');
  const { id, passkey, token: own } = await withPasskey(client);
  const creation = (await page.creation(own)).json.public_key;
  const token = await impersonate(client, { id }, admin);
  const path = `${PATH}/${passkey.passkeyId}`;
  const answers = [
    await page.creation(token),
    await page.register(token, page.authenticator.create(creation).credential),
    await client('PATCH', path, { token, body: { name: 'Mine' } }),
    await client('DELETE', path, { token }),
    await client('POST', `${PATH}/step-up/options`, { token }),
  ];
  expect(codes(answers)).toEqual(answers.map(() => 'impersonation_forbidden'));
});
