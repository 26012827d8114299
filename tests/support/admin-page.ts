import type { Browser, Page } from 'playwright-core';
import type { TestService } from './app';
import { complaintsOf } from './chromium';

/** The administration page in a tab of its own: nothing is shared with other tabs. */
export interface AdminTab {
  readonly page: Page;
  /** Errors of scripts and of the policy, and requests to other origins. */
  readonly complaints: readonly string[];
  signIn(email: string, password: string): Promise<void>;
  /** Waits until somebody is signed in. */
  signedIn(): Promise<void>;
  /** Searches for a user and opens it. */
  open(name: string): Promise<void>;
  /** Presses a button of the open user, and the one of the dialog that it opens. */
  act(button: string, confirm: string): Promise<void>;
  /** Waits for a text that screen readers are told. */
  told(text: string | RegExp): Promise<void>;
  /** Waits for the text of an alert. */
  alerted(text: string | RegExp): Promise<void>;
}

export async function openAdminTab(
  browser: Browser,
  { baseUrl }: Pick<TestService, 'baseUrl'>,
  viewport = { width: 1200, height: 860 },
): Promise<AdminTab> {
  const page = await browser.newPage({ viewport });
  page.setDefaultTimeout(40_000);
  const found = complaintsOf(page);
  await page.goto(`${baseUrl}/admin`);
  const dialog = page.getByRole('dialog');
  return {
    page,
    get complaints() {
      // A busy service sheds requests: the client repeats them.
      return found.filter((text) => !/with a status of 503/.test(text));
    },
    async signIn(email, password) {
      await page.getByLabel('E-mail').fill(email);
      await page.getByLabel('Password').fill(password);
      await page.getByRole('button', { name: 'Sign in' }).click();
    },
    signedIn: () => page.getByRole('button', { name: 'Sign out' }).waitFor(),
    async open(name) {
      await page.getByRole('link', { name: 'Users', exact: true }).click();
      await page.getByLabel('Search').fill(name);
      // The rows of the search have come.
      await page.locator('tbody tr').nth(1).waitFor({ state: 'detached' });
      await page.getByRole('link', { name, exact: true }).click();
      await page.getByRole('heading', { name, level: 1 }).waitFor();
    },
    async act(button, confirm) {
      await page.getByRole('button', { name: button }).click();
      await dialog.getByRole('button', { name: confirm, exact: true }).click();
    },
    told: (hasText) => page.getByRole('status').filter({ hasText }).waitFor(),
    alerted: (hasText) => page.getByRole('alert').filter({ hasText }).waitFor(),
  };
}
