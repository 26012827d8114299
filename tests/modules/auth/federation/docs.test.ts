import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startTestService, type TestService } from '../../../support/app';
import { createWalker } from '../../../support/browser-walk';
import { CLIENT, federationSettings, PAGE } from '../../../support/federation';
import { uniqueEmail } from '../../../support/http';
import { startTestProvider, type TestProvider } from '../../../support/oidc-provider';
import { root } from '../../../support/service';

const CALLBACK = 'http://localhost:3000/api/auth/oidc/example/callback';
let provider: TestProvider;
let service: TestService;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'transcript-'));
  provider = await startTestProvider({ ...CLIENT, redirectUri: CALLBACK });
  const { PUBLIC_URL: _, ...settings } = federationSettings({ example: provider.issuer });
  service = await startTestService(settings);
});
afterAll(async () => {
  await service?.close();
  await provider?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The commands of the page, in the order in which a reader runs them. */
const transcript = () =>
  [
    ...readFileSync(join(root, 'docs/sign-in-with-others.md'), 'utf8').matchAll(
      /```sh\n(.*?)```/gs,
    ),
  ].map(([, commands = '']) => commands);

test('the transcript of docs/sign-in-with-others.md signs in', async () => {
  const email = uniqueEmail('curl');
  await provider.become({ sub: 'curl', claims: { email, email_verified: true } });
  const [first = '', second = ''] = transcript();
  const { baseUrl } = service;
  const sh = async (commands: string, env: Record<string, string>) => {
    const { stdout } = await promisify(execFile)(
      'sh',
      ['-euc', `${commands}\nprintf '\\nVERIFIER=%s' "$VERIFIER"`],
      {
        cwd: folder,
        env: { PATH: process.env['PATH'], API: baseUrl, PAGE, ...env },
        timeout: 20_000,
      },
    );
    return stdout;
  };
  const begun = await sh(first, {});
  expect(begun).toContain('{"data":[{"id":"example","name":"The provider example"}]}');
  const [address = ''] = /http:\/\/127\.0\.0\.1:\d+\/auth\?\S+/.exec(begun) ?? [];
  const [, verifier = ''] = /VERIFIER=(.+)/.exec(begun) ?? [];
  const back = await createWalker({ hosts: {}, pages: [CALLBACK] }).go(address);
  const callback = back.url.href.replace('http://localhost:3000', baseUrl);
  const done = await sh(second, { CALLBACK: callback, VERIFIER: verifier });
  expect(JSON.parse(done.slice(0, done.indexOf('\n')))).toMatchObject({ user: { email } });
});
