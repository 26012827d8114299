import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { startTestService, type TestService } from '../../../support/app';
import { launchChromium } from '../../../support/chromium';
import { createClient, register } from '../../../support/http';
import {
  addAuthenticator,
  type PasskeySite,
  startPasskeySite,
} from '../../../support/passkey-site';
import { PASSKEY_SETTINGS, passkeyPage } from '../../../support/passkeys';
import { root } from '../../../support/service';
import { describeWith } from '../../../support/tools';
import {
  openTranscript,
  patternOf,
  type Transcript,
  transcriptOf,
} from '../../../support/transcripts';

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

describeWith(['chromium'], 'the transcript of docs/passkeys.md', () => {
  let browser: Browser;
  let site: PasskeySite;
  let local: TestService;
  let shell: Transcript;
  beforeAll(async () => {
    site = await startPasskeySite(() => local.baseUrl);
    local = await startTestService({ PASSKEY_RP_ID: 'localhost', PASSKEY_ORIGINS: site.origin });
    browser = await launchChromium();
    shell = await openTranscript();
  });
  afterAll(async () => {
    await shell?.close();
    await browser?.close();
    await local?.close();
    site?.server.close();
  });

  /** Adds a passkey by the script of the page, on a device of its own. */
  async function add(token: string, name: string): Promise<string> {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      await addAuthenticator(await context.newCDPSession(page));
      await page.goto(site.origin);
      const added = await page.evaluate<{ access_token: string }>(`add('${token}', '${name}')`);
      return added.access_token;
    } finally {
      await context.close();
    }
  }

  test('lists, renames and removes passkeys that a browser made', async () => {
    const { user, access_token: first } = await register(createClient(local.baseUrl));
    const token = await add(await add(first, 'Phone'), 'Laptop');
    // As an account that a provider sign-in has opened.
    const users = local.database.connection.collection('users');
    await users.updateOne({ email: user.email }, { $set: { passwordHash: '!no-password' } });
    const [steps = [], ...more] = transcriptOf('docs/passkeys.md');
    expect([steps.length > 8, more]).toEqual([true, []]);
    await shell.set({ API: local.baseUrl, TOKEN: token });
    await shell.replay(steps);
  });
});
