import { readFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type Browser, type CDPSession, chromium, type Page } from 'playwright-core';
import { startTestService, type TestService } from '../../../support/app';
import { type Client, createClient, PASSWORD, register, uniqueEmail } from '../../../support/http';
import { storedPasskey } from '../../../support/passkeys';
import { root } from '../../../support/service';
import { describeWith, findTool } from '../../../support/tools';

/** The JavaScript of the documentation, as a reader copies it. */
function documentedScript(): string {
  const text = readFileSync(path.join(root, 'docs', 'passkeys.md'), 'utf8');
  const [script, ...more] = [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, code]) => code);
  if (script === undefined || more.length > 0) throw new Error('not one block of JavaScript');
  return script;
}

/** One origin with the page of the documentation, in front of a service. */
interface Site {
  readonly origin: string;
  readonly server: Server;
}

async function startSite(service: () => string): Promise<Site> {
  const server = createServer((req, res) => {
    if (req.url === '/') {
      res.setHeader('content-type', 'text/html');
      res.end(`<!doctype html><title>page</title><script>${documentedScript()}</script>`);
      return;
    }
    const { method, headers } = req;
    const forwarded = request(`${service()}${req.url}`, { method, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    forwarded.on('error', () => res.destroy());
    req.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { origin: `http://localhost:${port}`, server };
}

interface Authenticator {
  credentials(): Promise<{ credentialId: string; userHandle?: string; signCount: number }[]>;
  setUserVerified(isUserVerified: boolean): Promise<void>;
}

/** A platform authenticator whose user is always there. */
async function addAuthenticator(cdp: CDPSession): Promise<Authenticator> {
  await cdp.send('WebAuthn.enable', { enableUI: false });
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return {
    credentials: async () =>
      (await cdp.send('WebAuthn.getCredentials', { authenticatorId })).credentials,
    setUserVerified: async (isUserVerified) => {
      await cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
    },
  };
}

describeWith(['chromium'], 'the page of the documentation in a browser', () => {
  let browser: Browser;
  let service: TestService;
  let own: Site;
  let foreign: Site;
  let client: Client;
  let page: Page;
  let authenticator: Authenticator;
  let account: { id: string; email: string; token: string };

  beforeAll(async () => {
    own = await startSite(() => service.baseUrl);
    foreign = await startSite(() => service.baseUrl);
    service = await startTestService({ PASSKEY_RP_ID: 'localhost', PASSKEY_ORIGINS: own.origin });
    client = createClient(service.baseUrl);
    browser = await chromium.launch({
      executablePath: findTool('chromium') ?? '',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await service?.close();
    for (const site of [own, foreign]) site?.server.close();
  });
  beforeEach(async () => {
    const context = await browser.newContext();
    page = await context.newPage();
    authenticator = await addAuthenticator(await context.newCDPSession(page));
    await page.goto(own.origin);
    const { user, access_token: token } = await register(client, { email: uniqueEmail('page') });
    account = { id: user.id, email: user.email, token };
  });
  afterEach(() => page?.context().close());

  /** Calls the page's function; with the problem, or the name of the error, where it throws. */
  const call = (code: string) =>
    page.evaluate<{ result?: object; refused?: string }>(`(async () => ${code})().then(
      (result) => ({ result }),
      (fault) => ({ refused: fault instanceof Error ? fault.name : fault.code }),
    )`);
  async function succeed(code: string) {
    const { result, refused } = await call(code);
    if (result === undefined) throw new Error(`${code} was refused: ${refused}`);
    // biome-ignore lint/suspicious/noExplicitAny: as Answer.json.
    return result as any;
  }
  const add = () => succeed(`add('${account.token}', 'Laptop')`);
  const list = async (token: string) => (await client('GET', '/api/auth/passkeys', { token })).json;
  const claimsOf = (token: string) =>
    JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString());

  test('registers a passkey that the authenticator can find by itself', async () => {
    const { access_token: token, passkey, recovery_codes: codes } = await add();
    expect(codes).toHaveLength(10);
    const { data, rp_id, user_handle } = await list(token);
    expect([data, rp_id]).toEqual([[passkey], 'localhost']);
    expect(passkey).toMatchObject({
      name: 'Laptop',
      discoverable: true,
      transports: ['internal'],
      backup_eligible: false,
    });
    const [credential] = await authenticator.credentials();
    expect(credential).toMatchObject({
      rpId: 'localhost',
      isResidentCredential: true,
      credentialId: Buffer.from(passkey.credential_id, 'base64url').toString('base64'),
      userHandle: Buffer.from(user_handle, 'base64url').toString('base64'),
    });
    // The browser itself refuses a second one on the same device: excludeCredentials.
    expect(await call(`add('${token}', 'Again')`)).toEqual({ refused: 'InvalidStateError' });
  });

  test('signs in with it alone, without a name, and the counter follows', async () => {
    const { passkey } = await add();
    for (const _ of [1, 2]) {
      const { user, access_token: token } = await succeed('signIn()');
      expect(user.id).toBe(account.id);
      expect(claimsOf(token)).toMatchObject({ amr: ['hwk', 'user', 'mfa'], acr: 'aal2' });
      const [credential] = await authenticator.credentials();
      expect(credential?.signCount).toBeGreaterThan(1);
      const stored = await storedPasskey(service, passkey.credential_id);
      expect(stored?.['counter']).toBe(credential?.signCount);
    }
  });

  test('uses it as the second factor after a password', async () => {
    await add();
    const login = { email: account.email, password: PASSWORD };
    const { mfa_required, mfa_token, factors } = await succeed(
      `post('login', ${JSON.stringify(login)})`,
    );
    expect([mfa_required, factors]).toEqual([true, ['passkey', 'recovery_code']]);
    const { user, access_token: token } = await succeed(`secondFactor('${mfa_token}')`);
    expect(user.id).toBe(account.id);
    expect(claimsOf(token)).toMatchObject({ amr: ['pwd', 'hwk', 'user', 'mfa'], acr: 'aal2' });
  });

  test('steps up by it, as the text says', async () => {
    const { access_token: token } = await add();
    const { access_token: renewed } = await succeed(`(async () => {
      const credential = await ask(await post('passkeys/step-up/options', undefined, '${token}'));
      return post('mfa/step-up', { factor: 'passkey', credential }, '${token}');
    })()`);
    expect(claimsOf(renewed)).toMatchObject({ sub: account.id, acr: 'aal2' });
  });

  test('a removed passkey opens no session, and the password alone does again', async () => {
    const { access_token: token, passkey } = await add();
    const removed = await client('DELETE', `/api/auth/passkeys/${passkey.id}`, { token });
    expect(removed.status).toBe(204);
    expect((await list(token)).data).toEqual([]);
    expect(await call('signIn()')).toEqual({ refused: 'invalid_passkey' });
    const login = { email: account.email, password: PASSWORD };
    const answer = await succeed(`post('login', ${JSON.stringify(login)})`);
    expect(answer).toMatchObject({ access_token: expect.any(String) });
  });

  test('a user whom the authenticator has not verified does not sign in alone', async () => {
    await add();
    await authenticator.setUserVerified(false);
    // A page that does not ask for the verification that the options require.
    const unverified = `(async () => {
      const { public_key } = await post('passkeys/sign-in/options');
      const options = { ...public_key, userVerification: 'discouraged' };
      return post('passkeys/sign-in', { credential: await ask({ public_key: options }) });
    })()`;
    expect(await call(unverified)).toEqual({ refused: 'invalid_passkey' });
    await authenticator.setUserVerified(true);
    expect((await succeed('signIn()')).user.id).toBe(account.id);
  });

  test('a page of the same RP ID whose origin is not allowed is refused', async () => {
    await add();
    await page.goto(foreign.origin);
    // The browser signs for it: only the service knows the origins.
    expect(await call('signIn()')).toEqual({ refused: 'invalid_passkey' });
    await page.goto(own.origin);
    expect((await succeed('signIn()')).user.id).toBe(account.id);
    await page.goto(foreign.origin);
    const { access_token: token } = await register(client);
    expect(await call(`add('${token}', 'Evil')`)).toEqual({ refused: 'passkey_not_accepted' });
    expect((await list(token)).data).toEqual([]);
  });

  test('a page of another domain gets no answer from the browser', async () => {
    await add();
    await page.goto(own.origin.replace('localhost', '127.0.0.1'));
    expect(await call('signIn()')).toEqual({ refused: 'SecurityError' });
  });
});
