import { type Browser, chromium, type Page } from 'playwright-core';
import { startTestService, type TestService } from '../../../support/app';
import {
  type Client,
  createClient,
  eventually,
  login,
  PASSWORD,
  register,
  uniqueEmail,
} from '../../../support/http';
import { startTestSmtp, type TestSmtp } from '../../../support/smtp';
import { describeWith, findTool } from '../../../support/tools';

let smtp: TestSmtp;
let service: TestService;
let client: Client;

beforeAll(async () => {
  smtp = await startTestSmtp();
  service = await startTestService({ SMTP_URL: smtp.url, EMAIL_SIGN_IN: 'true' });
  client = createClient(service.baseUrl);
});
afterAll(async () => {
  await service?.close();
  await smtp?.close();
});

const NEW_PASSWORD = 'a brand new password';
const users = () => service.database.connection.collection('users');
const isVerified = async (email: string) =>
  (await users().findOne({ emailKey: email }))?.['emailVerified'];

/** The link of a mail, as it would be if the service were found at PUBLIC_URL. */
async function linkIn(to: string, subject: RegExp, from = 0): Promise<string> {
  const { text, html } = await smtp.waitFor(to, subject, from);
  const link = /^http:\/\/localhost:\d+(\/account\?purpose=[a-z-]+#token=[A-Za-z0-9_-]{43})$/m.exec(
    text,
  );
  expect(html).toContain(`href="${link?.[0]}"`);
  return `${service.baseUrl}${link?.[1]}`;
}
async function account() {
  const email = uniqueEmail('page');
  return { email, ...(await register(client, { email })) };
}
async function resetLink(email: string) {
  const from = smtp.mails.length;
  await client('POST', '/api/auth/password/forgot', { body: { email } });
  return linkIn(email, /Set a new password/, from);
}

test('the default link opens a page whose policy allows only its own content', async () => {
  const { email } = await account();
  const answer = await fetch(await linkIn(email, /Confirm your e-mail/));
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'text/html; charset=utf-8',
  ]);
  const policy = answer.headers.get('content-security-policy') ?? '';
  expect(policy).toMatch(
    /^default-src 'none'; script-src 'sha256-[A-Za-z0-9+/=]+'; style-src 'sha256-[A-Za-z0-9+/=]+';/,
  );
  expect(policy).toContain("form-action 'none'; frame-ancestors 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
  expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
  const etag = answer.headers.get('etag') ?? '';
  expect(
    (await fetch(`${service.baseUrl}/account`, { headers: { 'if-none-match': etag } })).status,
  ).toBe(304);
  expect((await fetch(`${service.baseUrl}/account`, { method: 'HEAD' })).status).toBe(200);
});

describeWith(['chromium'], 'the page in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: findTool('chromium') ?? '',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    });
  });
  afterAll(() => browser?.close());

  const faults: string[] = [];
  afterEach(() => expect(faults.splice(0)).toEqual([]));

  async function withPage(
    link: string,
    work: (page: Page) => Promise<void>,
    colorScheme: 'light' | 'dark' = 'light',
  ): Promise<void> {
    const page = await browser.newPage({ viewport: { width: 390, height: 780 }, colorScheme });
    page.on('console', (line) => {
      // A refusal of the service is a line too; a breach of the policy is the one that counts.
      if (line.type() === 'error' && !/the server responded with a status of 4/.test(line.text()))
        faults.push(line.text());
    });
    page.on('pageerror', (error) => faults.push(String(error)));
    try {
      await page.goto(link);
      await work(page);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
    } finally {
      await page.close();
    }
  }
  const said = async (page: Page, text: RegExp) => {
    await page.getByRole('status').filter({ hasText: text }).waitFor({ timeout: 10_000 });
  };

  test('an address is confirmed by submitting the password, not by opening the link', async () => {
    const { email } = await account();
    await withPage(await linkIn(email, /Confirm your e-mail/), async (page) => {
      expect(await page.title()).toBe('Confirm your e-mail address');
      await page.waitForLoadState('networkidle');
      expect(await isVerified(email)).toBe(false);
      await page.getByRole('textbox', { name: 'Password of the account' }).fill('not the password');
      await page.getByRole('button').click();
      await said(page, /^That is not the password of the account\.$/);
      await page.getByRole('textbox', { name: 'Password of the account' }).fill(PASSWORD);
      await page.getByRole('button').click();
      await said(page, /is confirmed/);
      expect(await isVerified(email)).toBe(true);
      expect(page.url()).not.toContain('token');
    });
  });

  test('sets a password; a refused one does not use up the link; a used link is reported', async () => {
    const { email } = await account();
    const link = await resetLink(email);
    const set = async (page: Page, password: string) => {
      await page.getByLabel('New password').fill(password);
      await page.getByRole('button').click();
    };
    await withPage(
      link,
      async (page) => {
        expect(await page.getByLabel('New password').getAttribute('type')).toBe('password');
        await page.getByRole('checkbox', { name: 'Show the password' }).check();
        expect(await page.getByLabel('New password').getAttribute('type')).toBe('text');
        await set(page, 'password123');
        await said(page, /^The new password is one of the most common passwords\.$/);
        await set(page, PASSWORD);
        await said(page, /^The new password must differ from the current password\.$/);
        await set(page, NEW_PASSWORD);
        await said(page, /is set/);
      },
      'dark',
    );
    await login(client, email, NEW_PASSWORD);
    await withPage(link, async (page) => {
      await set(page, 'yet another password');
      await said(page, /has expired, was used before/);
    });
  });

  test('an invited person sets the first password, not by opening the link', async () => {
    const email = uniqueEmail('invited');
    const token = await login(client, service.admin.email, service.admin.password);
    const answer = await client('POST', '/api/users', {
      token,
      body: { name: 'Grace Hopper', email, send_invitation: true },
    });
    expect(answer.status).toBe(201);
    const link = await linkIn(email, /Your invitation/);
    const set = async (page: Page, password: string) => {
      await page.getByLabel('Password', { exact: true }).fill(password);
      await page.getByRole('button', { name: 'Set the password' }).click();
    };
    await withPage(
      link,
      async (page) => {
        expect(await page.title()).toBe('Welcome: set your password');
        await page.waitForLoadState('networkidle');
        const stored = await users().findOne({ emailKey: email });
        expect(stored?.['passwordHash']).toBe('!no-password');
        await page.getByRole('checkbox', { name: 'Show the password' }).check();
        const field = page.getByLabel('Password', { exact: true });
        expect(await field.getAttribute('type')).toBe('text');
        await set(page, 'Grace Hopper');
        await said(page, /^The password must not be the name or the e-mail address/);
        await set(page, NEW_PASSWORD);
        await said(page, /is set/);
      },
      'dark',
    );
    await login(client, email, NEW_PASSWORD);
    expect(await isVerified(email)).toBe(true);
    await withPage(link, async (page) => {
      await set(page, 'yet another password');
      await said(page, /was used before, .*Ask for another invitation\.$/);
    });
  });

  test('a new address is confirmed', async () => {
    const { access_token: token } = await account();
    const next = uniqueEmail('next');
    await client('POST', '/api/auth/email/change', {
      token,
      body: { new_email: next, current_password: PASSWORD },
    });
    await withPage(await linkIn(next, /Confirm your new/), async (page) => {
      await page.getByRole('textbox', { name: 'Password of the account' }).fill(PASSWORD);
      await page.getByRole('button', { name: 'Use this address' }).click();
      await said(page, /has this e-mail address now/);
    });
    expect((await client('GET', '/api/users/me', { token })).json).toMatchObject({
      email: next,
      email_verified: true,
    });
  });

  test('the owner of an address that somebody else registered can set a password', async () => {
    const { email, access_token: token } = await account();
    const from = smtp.mails.length;
    await withPage(await linkIn(email, /Confirm your e-mail/), async (page) => {
      await page.getByRole('link', { name: 'set a new password' }).click();
      await page.getByLabel('E-mail address').fill(email);
      await page.getByRole('button', { name: 'Send the mail' }).click();
      await said(page, /a mail is on its way/);
    });
    await withPage(await linkIn(email, /Set a new password/, from), async (page) => {
      await page.getByLabel('New password').fill(NEW_PASSWORD);
      await page.getByRole('button').click();
      await said(page, /is set/);
    });
    expect(await isVerified(email)).toBe(true);
    await eventually(
      'the end of the session',
      async () => (await client('GET', '/api/users/me', { token })).status === 401,
    );
  });

  test('the link of a mailed code shows the code, and uses up nothing', async () => {
    const { email } = await account();
    await users().updateOne({ emailKey: email }, { $set: { emailVerified: true } });
    const asked = await client('POST', '/api/auth/email-sign-in', { body: { email } });
    const { text } = await smtp.waitFor(email, /Your code to sign in/);
    const code = /^(\d{6})$/m.exec(text)?.[1] ?? '';
    const [path] = /\/account\?purpose=sign-in#code=\d{6}$/m.exec(text) ?? [];
    for (const _ of ['a scanner', 'the owner'])
      await withPage(`${service.baseUrl}${path}`, async (page) => {
        const requests: string[] = [];
        page.on('request', (request) => requests.push(request.url()));
        await page.reload({ waitUntil: 'networkidle' });
        expect(await page.getByRole('heading').allInnerTexts()).toEqual(['Your code']);
        expect(await page.locator('#code').innerText()).toBe(code);
        // The code is in the fragment: no server sees it.
        expect(requests).toEqual([`${service.baseUrl}/account?purpose=sign-in`]);
      });
    const body = { sign_in_token: asked.json.sign_in_token, code };
    expect((await client('POST', '/api/auth/email-sign-in/verify', { body })).status).toBe(200);
  });

  test.each(['', '#code=12345', '#code=%3Cb%3E123456', '#token=123456'])(
    'a sign-in without a code in its link (%j) shows none',
    async (fragment) => {
      await withPage(`${service.baseUrl}/account?purpose=sign-in${fragment}`, async (page) => {
        await page.getByText('Open this page by the link in a mail.').waitFor();
        expect(await page.locator('#code').innerText()).toBe('');
        expect(await page.getByRole('heading').allInnerTexts()).toEqual(['Your account']);
      });
    },
  );

  test('a link without its token or purpose explains the next step', async () => {
    await withPage(`${service.baseUrl}/account?purpose=reset-password`, async (page) => {
      await said(page, /not complete/);
      expect(await page.getByRole('button').isDisabled()).toBe(true);
    });
    await withPage(`${service.baseUrl}/account?purpose=%22%5D`, async (page) => {
      await page.getByText('Open this page by the link in a mail.').waitFor();
    });
  });
});
