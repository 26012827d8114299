import { startTestService, type TestService } from '../../../support/app';
import { createWalker } from '../../../support/browser-walk';
import { CLIENT, federationSettings, PAGE } from '../../../support/federation';
import { uniqueEmail } from '../../../support/http';
import { startTestProvider, type TestProvider } from '../../../support/oidc-provider';
import { openTranscript, type Transcript, transcriptOf } from '../../../support/transcripts';

const CALLBACK = 'http://localhost:3000/api/auth/oidc/example/callback';
let provider: TestProvider;
let service: TestService;
let shell: Transcript;

beforeAll(async () => {
  provider = await startTestProvider({ ...CLIENT, redirectUri: CALLBACK });
  const { PUBLIC_URL: _, ...settings } = federationSettings({ example: provider.issuer });
  service = await startTestService(settings);
  shell = await openTranscript();
});
afterAll(async () => {
  await shell?.close();
  await service?.close();
  await provider?.close();
});

test('the transcript of docs/sign-in-with-others.md signs in', async () => {
  const email = uniqueEmail('curl');
  await provider.become({ sub: 'curl', claims: { email, email_verified: true } });
  const { baseUrl } = service;
  const [begin = [], end = []] = transcriptOf('docs/sign-in-with-others.md');
  await shell.set({ API: baseUrl, PAGE });
  await shell.replay(begin);
  const address = await shell.value('$ADDRESS');
  const back = await createWalker({ hosts: {}, pages: [CALLBACK] }).go(address);
  await shell.set({ CALLBACK: back.url.href.replace('http://localhost:3000', baseUrl) });
  await shell.replay(end);
  expect(JSON.parse(await shell.value('$SIGNED_IN'))).toMatchObject({ user: { email } });
});
