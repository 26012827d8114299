import type { Browser } from 'playwright-core';
import { startTestService, type TestService } from '../../../support/app';
import {
  complaintsOf,
  launchChromium,
  seriousFindings,
  sidewaysPixels,
} from '../../../support/chromium';
import { describeWith } from '../../../support/tools';

describeWith(['chromium'], '/docs/try in Chromium', () => {
  let browser: Browser;
  let service: TestService;
  beforeAll(async () => {
    service = await startTestService();
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await service?.close();
  });

  test('logs in and calls with the token, under the policy; stores nothing', async () => {
    const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
    page.setDefaultTimeout(180_000);
    const complaints = complaintsOf(page);
    const asked = page.waitForRequest('**/api/auth/profile');
    await page.goto(`${service.baseUrl}/docs/try#/auth/profile`);
    const operation = page.locator('#operations-auth-profile');
    await operation.getByRole('button', { name: 'Try it out' }).click();
    await page.getByLabel('E-mail').fill(service.admin.email);
    await page.getByLabel('Password', { exact: true }).fill(service.admin.password);
    await page.keyboard.press('Enter');
    await page
      .getByRole('status')
      .filter({ hasText: /^Logged in as Test Admin/ })
      .waitFor();
    const fields = page.locator('#login :is(input, [type=submit])');
    expect(await fields.count()).toBe(4);
    expect(await fields.filter({ visible: true }).count()).toBe(0);
    await operation.getByRole('button', { name: 'Execute' }).click();
    const { authorization = '' } = await (await asked).allHeaders();
    expect(authorization).toMatch(/^Bearer ey/);
    const status = operation.locator('.live-responses-table tbody .response-col_status').first();
    await status.filter({ hasText: '200' }).waitFor();
    expect(await page.evaluate('localStorage.length + sessionStorage.length')).toBe(0);
    expect(await page.evaluate('document.cookie')).toBe('');
    expect(await sidewaysPixels(page)).toBe(0);

    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('status').filter({ hasText: 'Logged out.' }).waitFor();
    const refused = await fetch(`${service.baseUrl}/api/auth/profile`, {
      headers: { authorization },
    });
    expect(refused.status).toBe(401);
    // Of the part that is ours; Swagger UI's own findings are upstream's.
    await page.evaluate('document.querySelector("#swagger").remove()');
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
  }, 400_000);

  test.each(['light', 'dark'] as const)(
    '%s: accessible, and fits a phone',
    async (colorScheme) => {
      const page = await browser.newPage({ viewport: { width: 390, height: 844 }, colorScheme });
      page.setDefaultTimeout(180_000);
      const complaints = complaintsOf(page);
      await page.goto(`${service.baseUrl}/docs/try#/auth/profile`);
      await page.locator('#operations-auth-profile').waitFor();
      expect(await sidewaysPixels(page)).toBe(0);
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      expect(background).toBe(colorScheme === 'dark' ? 'rgb(18, 22, 28)' : 'rgb(255, 255, 255)');
      // Of the part that is ours; Swagger UI's own findings are upstream's.
      await page.evaluate('document.querySelector("#swagger").remove()');
      expect(await seriousFindings(page)).toEqual([]);
      expect(complaints).toEqual([]);
      await page.close();
    },
    400_000,
  );
});

test.each([
  ['off', 'development', 404],
  ['auto', 'production', 404],
  ['auto', 'test', 200],
] as const)('DOCS_TRY=%s in %s answers %i', async (DOCS_TRY, NODE_ENV, status) => {
  const service = await startTestService({
    ...{ DOCS_TRY, NODE_ENV, BCRYPT_COST: '10', PUBLIC_URL: 'https://id.example.org' },
  });
  try {
    expect((await fetch(`${service.baseUrl}/docs/try`)).status).toBe(status);
    const docs = await fetch(`${service.baseUrl}/docs`);
    expect((await docs.text()).includes('href="/docs/try"')).toBe(status === 200);
  } finally {
    await service.close();
  }
});
