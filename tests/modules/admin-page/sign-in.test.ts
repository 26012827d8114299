import type { Browser } from 'playwright-core';
import { type AdminTab, openAdminTab } from '../../support/admin-page';
import { startTestService, type TestService } from '../../support/app';
import { launchChromium, seriousFindings, sidewaysPixels } from '../../support/chromium';
import { addTotp, appOf, laterOn, withTotp } from '../../support/factors';
import { type Client, createClient, login, PASSWORD, register } from '../../support/http';
import { describeWith } from '../../support/tools';

jest.setTimeout(120_000);

describeWith(['chromium'], 'signing in to the administration page', () => {
  let browser: Browser;
  let service: TestService;
  let client: Client;
  let token: string;
  beforeAll(async () => {
    service = await startTestService({
      MFA_POLICY: 'optional,auditor=required',
      ROLES: 'auditor=users:read+audit:read',
    });
    client = createClient(service.baseUrl);
    token = await login(client, service.admin.email, service.admin.password);
    browser = await launchChromium();
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await service?.close();
  });

  const give = async (id: string, role: string) => {
    const { status } = await client('PATCH', `/api/users/${id}`, { token, body: { role } });
    expect(status).toBe(200);
  };
  const withTab = async (work: (tab: AdminTab) => Promise<void>) => {
    const tab = await openAdminTab(browser, service, { width: 390, height: 844 });
    try {
      await work(tab);
      expect(tab.complaints).toEqual([]);
    } finally {
      await tab.page.close();
    }
  };

  test('with a code of an authenticator app, or with a recovery code', async () => {
    const { id, email, app, recoveryCodes } = await withTotp(service, client);
    await give(id, 'support');
    await withTab(async ({ page, signIn, signedIn }) => {
      await signIn(email, PASSWORD);
      await page.getByRole('heading', { name: 'Enter the code of your app' }).waitFor();
      await page.getByLabel('Code').fill('000000');
      await page.keyboard.press('Enter');
      await page.locator('[aria-invalid=true], [role=alert]:not(:empty)').first().waitFor();
      expect(await seriousFindings(page)).toEqual([]);
      await page.getByLabel('Code').fill(app());
      await page.keyboard.press('Enter');
      await signedIn();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await signIn(email, PASSWORD);
      await page.getByRole('button', { name: 'Use a recovery code' }).click();
      await page.getByLabel('Recovery code').fill(recoveryCodes[0] ?? '');
      await page.keyboard.press('Enter');
      await signedIn();
    });
  });

  test('a role that needs a factor sets one up, and stores its recovery codes', async () => {
    const { user } = await register(client, { name: 'Audrey Auditor' });
    await give(user.id, 'auditor');
    await withTab(async ({ page, signIn, signedIn }) => {
      await signIn(user.email, PASSWORD);
      await page.getByRole('img', { name: 'QR code for the app' }).waitFor();
      expect(await sidewaysPixels(page)).toBe(0);
      const secret = await page.locator('.key').innerText();
      await page.getByLabel('Code').fill(appOf(`otpauth://totp/a?secret=${secret}`)());
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Store your recovery codes' }).waitFor();
      expect(await page.locator('.codes li').count()).toBe(10);
      await page.getByRole('button', { name: 'I have stored them' }).click();
      await signedIn();
      const links = page.getByRole('navigation').getByRole('link');
      await links.first().waitFor();
      expect(await links.allInnerTexts()).toEqual(['Users', 'Audit log']);
    });
  });

  test('support sees its permitted actions, and a user without rights sees a notice', async () => {
    const { user } = await register(client, { name: 'Sue Support' });
    await give(user.id, 'support');
    const other = await register(client, { name: 'Olga Other' });
    await withTab(async ({ page, signIn, open }) => {
      await signIn(user.email, PASSWORD);
      await open('Olga Other');
      await page.getByRole('heading', { name: 'Sessions' }).waitFor();
      const buttons = page.getByRole('main').getByRole('button');
      expect(await buttons.allInnerTexts()).toEqual(['Send password reset…', 'Send invitation…']);
      expect(await page.getByRole('heading', { name: 'Audit' }).count()).toBe(0);
      await open('Test Admin');
      await page.getByText(service.admin.email).waitFor();
      expect(await buttons.allInnerTexts()).toEqual([]);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await signIn(other.user.email, PASSWORD);
      await page.getByRole('heading', { name: 'No rights' }).waitFor();
      expect(await page.getByRole('navigation').getByRole('link').count()).toBe(0);
      expect(await seriousFindings(page)).toEqual([]);
    });
  });

  test('an old login is confirmed where a change needs a recent one, by the keyboard alone', async () => {
    const { user } = await register(client, { name: 'Vera Victim' });
    const admin = await register(client, { name: 'Kay Keyboard' });
    await give(admin.user.id, 'admin');
    const own = await login(client, admin.user.email, PASSWORD);
    const { app } = await addTotp(client, own);
    await laterOn(service, admin.user.id);
    await withTab(async ({ page, signedIn, told }) => {
      const press = async (...keys: string[]) => {
        for (const key of keys) await page.keyboard.press(key);
      };
      await page.getByLabel('Password').waitFor();
      await page.keyboard.type(admin.user.email);
      await press('Tab');
      await page.keyboard.type(PASSWORD);
      await press('Enter');
      await page.getByRole('heading', { name: 'Enter the code of your app' }).waitFor();
      await page.keyboard.type(app());
      await press('Enter');
      await signedIn();
      await laterOn(service, admin.user.id);
      await service.database.connection
        .collection('sessions')
        .updateMany(
          { userId: admin.user.id },
          { $set: { createdAt: new Date(0), authenticatedAt: new Date(0) } },
        );
      await page.getByRole('link', { name: 'Vera Victim' }).focus();
      await press('Enter');
      await page.getByRole('button', { name: 'Ban…' }).focus();
      await press('Enter');
      await page.getByRole('dialog', { name: 'Ban Vera Victim?' }).waitFor();
      await page.keyboard.type('test');
      await press('Enter');
      const again = page.getByRole('dialog', { name: 'Confirm that it is you' });
      await again.getByLabel('Password').waitFor();
      expect(await seriousFindings(page)).toEqual([]);
      await page.keyboard.type(PASSWORD);
      await press('Enter');
      await again.getByLabel('Code').waitFor();
      await page.keyboard.type(app());
      await press('Enter');
      await told('Banned');
      const banned = await client('GET', `/api/users/${user.id}`, { token });
      expect(banned.json.status).toBe('banned');
      expect(await page.getByRole('dialog').count()).toBe(0);
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Vera Victim');
    });
  });

  test('a confirmation by another account signs out, and does nothing', async () => {
    const { user } = await register(client, { name: 'Una Untouched' });
    const [admin, other] = [await register(client), await register(client)];
    for (const { user: one } of [admin, other]) await give(one.id, 'admin');
    await withTab(async ({ page, signIn, signedIn }) => {
      await signIn(admin.user.email, PASSWORD);
      await signedIn();
      await service.database.connection
        .collection('sessions')
        .updateMany({ userId: admin.user.id }, { $set: { createdAt: new Date(0) } });
      await page.getByRole('link', { name: 'Una Untouched' }).click();
      await page.getByRole('button', { name: 'Ban…' }).click();
      await page.getByRole('dialog', { name: /^Ban/ }).getByRole('button', { name: 'Ban' }).click();
      // As a passkey of another account would answer.
      const postData = JSON.stringify({ email: other.user.email, password: PASSWORD });
      await page.route('**/api/auth/login', (route) => route.continue({ postData }));
      const again = page.getByRole('dialog', { name: 'Confirm that it is you' });
      await again.getByLabel('Password').fill(PASSWORD);
      await again.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('That was another account.').waitFor();
      expect(await page.getByRole('dialog').count()).toBe(0);
    });
    const untouched = await client('GET', `/api/users/${user.id}`, { token });
    expect(untouched.json.status).toBe('active');
    const sessions = service.database.connection.collection('sessions');
    expect(await sessions.countDocuments({ userId: other.user.id })).toBe(1);
  });
});
