import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTestService, type TestService } from '../../../support/app';
import { createClient, register } from '../../../support/http';
import { PASSKEY_SETTINGS, passkeyPage } from '../../../support/passkeys';
import { root } from '../../../support/service';
import { patternOf } from '../../../support/transcripts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService(PASSKEY_SETTINGS);
});
afterAll(() => service?.close());

/** The JSON of the page, in its order; a string with `…` becomes its pattern. */
const shownBodies = () =>
  [
    ...readFileSync(join(root, 'docs/passkeys.md'), 'utf8').matchAll(/^```json\n([\s\S]*?)^```/gm),
  ].map(([, text = '']) =>
    JSON.parse(text, (_, value: unknown) =>
      typeof value === 'string' && value.includes('…')
        ? expect.stringMatching(patternOf(value))
        : value,
    ),
  );

test('the bodies of docs/passkeys.md are those of a registration and a sign-in', async () => {
  const client = createClient(service.baseUrl);
  const page = passkeyPage(client);
  const { user, access_token: token } = await register(client, {
    ...{ name: 'Ada', email: 'ada@example.org' },
  });
  const created = (await page.creation(token)).json;
  const { passkey, credential } = page.authenticator.create(created.public_key);
  const requested = (await page.request()).json;
  const used = page.authenticator.get(requested.public_key, passkey);
  expect([created, { name: 'Phone', credential }, requested, { credential: used }]).toEqual(
    shownBodies(),
  );
  expect((await page.register(token, credential, 'Phone')).status).toBe(201);
  const signedIn = await page.signIn(used);
  expect([signedIn.status, signedIn.json.user.id]).toEqual([200, user.id]);
});
