import type { Browser } from 'playwright-core';
import { type AdminTab, openAdminTab } from '../../support/admin-page';
import { startTestService, type TestService } from '../../support/app';
import { launchChromium, seriousFindings, sidewaysPixels } from '../../support/chromium';
import { type Client, createClient, login, register } from '../../support/http';
import { startTestSmtp, type TestSmtp } from '../../support/smtp';
import { describeWith } from '../../support/tools';
import { until } from '../../support/until';

jest.setTimeout(120_000);

/** Texts of buttons in tables that take more than one line. */
const BROKEN_BUTTONS = `[...document.querySelectorAll('td button')].filter((button) => {
  const range = document.createRange();
  range.selectNodeContents(button);
  return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size > 1;
}).map(({ textContent }) => textContent)`;

describeWith(['chromium'], 'the administration page in Chromium', () => {
  let browser: Browser;
  let smtp: TestSmtp;
  let service: TestService;
  let client: Client;
  let token: string;
  let tab: AdminTab;
  beforeAll(async () => {
    smtp = await startTestSmtp();
    service = await startTestService({ SMTP_URL: smtp.url });
    client = createClient(service.baseUrl);
    token = await login(client, service.admin.email, service.admin.password);
    browser = await launchChromium();
    tab = await openAdminTab(browser, service);
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await service?.close();
    await smtp?.close();
  });

  const sessionsOfAdmin = async () => {
    const { json } = await client('GET', '/api/auth/sessions', { token });
    return (json.data as unknown[]).length;
  };

  test('a wrong password is told, and nothing is stored', async () => {
    await tab.signIn(service.admin.email, 'not the password');
    await tab.alerted(/password is wrong/);
    await tab.page.getByLabel('E-mail').fill('no address');
    await tab.page.keyboard.press('Enter');
    await tab.page.getByText('Must be an e-mail address').waitFor();
    const email = tab.page.getByLabel('E-mail');
    expect(await email.getAttribute('aria-invalid')).toBe('true');
    expect(await tab.page.evaluate('document.activeElement.name')).toBe('email');
  });

  test('sign in, search, edit, ban, see it in the audit log, end sessions, sign out', async () => {
    const ada = await register(client, { name: 'Ada Byron' });
    await register(client, { name: 'Grace Hopper' });
    const { page } = tab;
    await tab.signIn(service.admin.email, service.admin.password);
    await tab.signedIn();
    await page.getByRole('link', { name: 'Grace Hopper' }).waitFor();
    await page.getByLabel('Search').fill('by');
    await page.getByRole('link', { name: 'Grace Hopper' }).waitFor({ state: 'detached' });
    await tab.open('Ada Byron');
    await page.getByText(ada.user.email).waitFor();

    await page.getByRole('button', { name: 'Edit…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Edit Ada Byron' });
    await dialog.getByLabel('Name').fill('');
    await dialog.getByLabel('App metadata').fill('{"plan": ');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Edit…' }).click();
    await dialog.getByLabel('Name').fill(' ');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.locator('input[name=name][aria-invalid=true]').waitFor();
    await dialog.getByLabel('Name').fill('Ada Lovelace');
    await dialog.getByLabel('App metadata').fill('{"plan": ');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('Must be a JSON object').waitFor();
    await dialog.getByLabel('App metadata').fill('{"plan": "pro"}');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Ada Lovelace', level: 1 }).waitFor();
    const changed = await client('GET', `/api/users/${ada.user.id}`, { token });
    expect(changed.json).toMatchObject({ name: 'Ada Lovelace', app_metadata: { plan: 'pro' } });

    await tab.act('Send password reset…', 'Send the mail');
    await tab.told('The mail is queued');
    await smtp.waitFor(ada.user.email, /password/i);
    await tab.act('End all sessions…', 'End all sessions');
    await page.getByText('No session is open.').waitFor();
    expect((await client('GET', '/api/auth/profile', { token: ada.access_token })).status).toBe(
      401,
    );

    await page.getByRole('button', { name: 'Ban…' }).click();
    await page.getByLabel('Reason').fill('spam wave');
    await page.getByLabel('Until').fill('2035-01-31T12:00');
    await page.getByRole('dialog').getByRole('button', { name: 'Ban', exact: true }).click();
    await page.getByText('“spam wave”').waitFor();
    const banned = await client('GET', `/api/users/${ada.user.id}`, { token });
    expect(banned.json).toMatchObject({ status: 'banned', ban: { reason: 'spam wave' } });
    await tab.act('Lift the ban…', 'Lift the ban');
    await tab.told('The ban is lifted');

    await page.getByRole('link', { name: 'Audit log' }).click();
    await page.getByLabel('Event').selectOption('account_banned');
    await page.getByRole('cell', { name: 'Account banned' }).first().waitFor();
    expect(await page.getByRole('row').count()).toBe(2);
    await page.getByRole('link', { name: 'Ada Lovelace' }).first().waitFor();

    const before = await sessionsOfAdmin();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    expect(await sessionsOfAdmin()).toBe(before - 1);
    expect(tab.complaints).toEqual([]);
  });

  test('a page that is left alone signs out, and one that is in use keeps a good token', async () => {
    const idle = await openAdminTab(browser, service);
    const { page } = idle;
    await page.clock.install();
    // Everything that reads the time has to begin with that clock.
    await page.reload();
    const before = await sessionsOfAdmin();
    await idle.signIn(service.admin.email, service.admin.password);
    await idle.signedIn();
    let renewals = 0;
    page.on('response', (answer) => {
      if (answer.url().endsWith('/api/auth/refresh') && answer.ok()) renewals += 1;
    });
    // For longer than a token is good, without a request of a view.
    await page.clock.runFor('14:00');
    await page.keyboard.press('Shift');
    await page.clock.runFor('02:00');
    await until('the token to be renewed', () => renewals > 0);
    await idle.signedIn();
    expect(await sessionsOfAdmin()).toBe(before + 1);
    await page.clock.fastForward('15:00');
    await page.getByText('You were signed out after 15 minutes without input.').waitFor();
    await until('the session to end', async () => (await sessionsOfAdmin()) === before);
    expect(await page.getByRole('button', { name: 'Sign out' }).count()).toBe(0);
    await page.close();
  });

  test('someone else has changed the user: the form takes that over, and keeps the input', async () => {
    const { user } = await register(client, { name: 'Barbara Conflict' });
    await tab.signIn(service.admin.email, service.admin.password);
    await tab.open('Barbara Conflict');
    await tab.page.getByRole('button', { name: 'Edit…' }).click();
    const dialog = tab.page.getByRole('dialog');
    await dialog.getByLabel('External id').fill('crm-1');
    const path = `/api/users/${user.id}`;
    await client('PATCH', path, { token, body: { name: 'Barbara Liskov' } });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await tab.alerted(/^Someone else has changed this user meanwhile \(name\)/);
    expect((await client('GET', path, { token })).json.external_id).toBe(null);
    expect(await dialog.getByLabel('Name').inputValue()).toBe('Barbara Liskov');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await tab.page.getByRole('heading', { name: 'Barbara Liskov', level: 1 }).waitFor();
    expect((await client('GET', path, { token })).json).toMatchObject({
      name: 'Barbara Liskov',
      external_id: 'crm-1',
    });
  });

  test('an import shows its progress and its report', async () => {
    const { page } = tab;
    await page.getByRole('link', { name: 'Import' }).click();
    const text = 'name,email\nNew One,new.one@example.org\nNobody,no-address\n';
    const file = { name: 'users.csv', mimeType: 'text/csv', buffer: Buffer.from(text) };
    await page.getByLabel('File').setInputFiles(file);
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByRole('heading', { name: 'Import: done' }).waitFor();
    expect((await client('GET', '/api/users?q=new.one@', { token })).json.data).toEqual([]);
    await page.getByLabel('Only check').uncheck();
    await page.getByRole('button', { name: 'Start' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Import', exact: true }).click();
    const count = (name: string) =>
      page.locator('.counts > div', { hasText: name }).locator('dd').innerText();
    await page.getByText('Records that were not taken').first().waitFor();
    await page.getByRole('heading', { name: 'Import: done' }).waitFor();
    await page.getByRole('link', { name: 'Save the report' }).waitFor();
    expect([await count('records'), await count('created'), await count('refused')]).toEqual([
      '2 of 2',
      '1',
      '1',
    ]);
    const found = await client('GET', '/api/users?q=new.one@', { token });
    expect(found.json.data).toMatchObject([{ name: 'New One' }]);
  });

  test.each(['light', 'dark'] as const)(
    '%s: every view is accessible and fits a phone',
    async (colorScheme) => {
      const { page } = tab;
      await page.emulateMedia({ colorScheme });
      const views: readonly [string, () => Promise<unknown>][] = [
        ['import', () => page.getByRole('link', { name: 'Import' }).click()],
        ['audit', () => page.getByRole('link', { name: 'Audit log' }).click()],
        ['user', () => tab.open('Grace Hopper')],
        ['edit', () => page.getByRole('button', { name: 'Edit…' }).click()],
        ['users', () => page.getByRole('link', { name: 'Users', exact: true }).click()],
      ];
      for (const [name, open] of views) {
        await page.keyboard.press('Escape');
        await open();
        await page
          .locator(name === 'edit' ? 'dialog' : 'main :is(table, form)')
          .first()
          .waitFor();
        if (name === 'user') await page.locator('td button').first().waitFor();
        expect([name, await seriousFindings(page)]).toEqual([name, []]);
        await page.setViewportSize({ width: 390, height: 844 });
        expect([name, await sidewaysPixels(page)]).toEqual([name, 0]);
        expect([name, await page.evaluate(BROKEN_BUTTONS)]).toEqual([name, []]);
        await page.setViewportSize({ width: 1200, height: 860 });
      }
      expect(tab.complaints).toEqual([]);
    },
  );

  test('nothing is stored; leaving the page ends the session', async () => {
    const { page } = tab;
    expect(await page.evaluate('localStorage.length + sessionStorage.length')).toBe(0);
    expect(await page.context().cookies()).toEqual([]);
    const before = await sessionsOfAdmin();
    await page.reload();
    await page.getByLabel('Password').waitFor();
    const until = Date.now() + 20_000;
    while ((await sessionsOfAdmin()) === before && Date.now() < until);
    expect(await sessionsOfAdmin()).toBe(before - 1);
    expect(await seriousFindings(page)).toEqual([]);
  });
});
