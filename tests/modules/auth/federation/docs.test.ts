import { startTestService, type TestService } from '../../../support/app';
import { createWalker } from '../../../support/browser-walk';
import { CLIENT, federationSettings, PAGE } from '../../../support/federation';
import { uniqueEmail } from '../../../support/http';
import { startTestProvider, type TestProvider } from '../../../support/oidc-provider';
import { openTranscript, type Transcript, transcriptOf } from '../../../support/transcripts';

/** Where the service says it is, without PUBLIC_URL. */
const API = 'http://localhost:3000';
const CALLBACK = `${API}/api/auth/oidc/example/callback`;
/** curl finds the service there. */
const CURL = `curl() { command curl --connect-to "localhost:3000:\${SERVICE#http://}" "$@"; }`;
let provider: TestProvider;
let service: TestService;
let shell: Transcript;

beforeAll(async () => {
  provider = await startTestProvider({ ...CLIENT, redirectUri: CALLBACK });
  const { PUBLIC_URL: _, ...settings } = federationSettings({ example: provider.issuer });
  service = await startTestService(settings);
  shell = await openTranscript(CURL);
});
afterAll(async () => {
  await shell?.close();
  await service?.close();
  await provider?.close();
});

/** The reader of the page, as a user of the provider: with a new browser, to the callback. */
async function signInAtProvider(sub: string): Promise<void> {
  const email = uniqueEmail(sub);
  await provider.become({ sub, claims: { email, email_verified: true } });
  const address = await shell.value('$ADDRESS');
  const { url } = await createWalker({ hosts: {}, pages: [CALLBACK] }).go(address);
  await shell.set({ CALLBACK: url.href });
}

test('the transcripts of docs/sign-in-with-others.md sign in, link and unlink', async () => {
  const [begin, end, beginLink, link, ...more] = transcriptOf('docs/sign-in-with-others.md');
  expect(more).toEqual([]);
  await shell.set({ API, PAGE, SERVICE: service.baseUrl });
  await shell.replay(begin ?? []);
  await signInAtProvider('curl');
  await shell.replay(end ?? []);
  const { user } = JSON.parse(await shell.value('$SIGNED_IN'));
  expect(user.email).toMatch(/^curl/);
  await shell.replay(beginLink ?? []);
  await signInAtProvider('other');
  await shell.replay(link ?? []);
  const identities = service.database.connection.collection('identities');
  expect(await identities.find({ userId: user.id }).toArray()).toMatchObject([
    { subject: 'other' },
  ]);
});
