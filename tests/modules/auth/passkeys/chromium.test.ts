import type { Browser, Page } from 'playwright-core';
import { startTestService, type TestService } from '../../../support/app';
import { launchChromium } from '../../../support/chromium';
import { type Client, createClient, PASSWORD, register, uniqueEmail } from '../../../support/http';
import {
  addAuthenticator,
  type PasskeySite,
  startPasskeySite,
  type VirtualAuthenticator,
} from '../../../support/passkey-site';
import { storedPasskey } from '../../../support/passkeys';
import { describeWith } from '../../../support/tools';

describeWith(['chromium'], 'the page of the documentation in a browser', () => {
  let browser: Browser;
  let service: TestService;
  let own: PasskeySite;
  let foreign: PasskeySite;
  let client: Client;
  let page: Page;
  let authenticator: VirtualAuthenticator;
  let account: { id: string; email: string; token: string };

  beforeAll(async () => {
    own = await startPasskeySite(() => service.baseUrl);
    foreign = await startPasskeySite(() => service.baseUrl);
    service = await startTestService({ PASSKEY_RP_ID: 'localhost', PASSKEY_ORIGINS: own.origin });
    client = createClient(service.baseUrl);
    browser = await launchChromium();
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
