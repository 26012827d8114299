import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { askControl } from '../../../src/runtime/primary/control';
import {
  complaintsOf,
  launchChromium,
  seriousFindings,
  sidewaysPixels,
} from '../../support/chromium';
import { freePort, root, type ServiceProcess, startService } from '../../support/service';
import { describeWith } from '../../support/tools';

let service: ServiceProcess;
let ops: string;

beforeAll(async () => {
  const port = await freePort();
  ops = `http://127.0.0.1:${port}`;
  service = await startService({
    entry: path.join(root, 'dist/tests/runtime/fixtures/service.js'),
    env: { OPS_PORT: String(port), WORKERS: '1', WORKER_HEARTBEAT_MS: '200' },
  });
});
afterAll(() => service?.close());

async function printedToken(): Promise<string> {
  const answer = await askControl(service.runtimeDir, { command: 'token' });
  if (!answer.ok || answer.token === undefined) throw new Error('no token');
  return answer.token;
}
const act = (query: string, headers: Record<string, string> = {}, method = 'POST') =>
  fetch(`${ops}/ops/act?${query}`, { method, headers });

test('actions need POST and the token of this primary in a header', async () => {
  expect((await act('action=reload&value=', {}, 'GET')).status).toBe(405);
  for (const token of [undefined, '', 'x'.repeat(32)]) {
    const refused = await act(
      'action=scale&value=5',
      token === undefined ? {} : { 'X-Ops-Token': token },
    );
    expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([
      403,
      'wrong token: npm run cluster -- token prints it',
    ]);
  }
  const headers = { 'X-Ops-Token': await printedToken() };
  for (const query of ['action=none&value=1', 'action=scale&value=0', 'action=drain&value=99'])
    expect((await act(query, headers)).status).toBe(400);
  expect(service.workerPids()).toHaveLength(1);
});

test('no other origin may read the page, and its policy allows only its own files', async () => {
  const page = await fetch(`${ops}/`);
  expect(page.headers.get('content-security-policy')).not.toMatch(/unsafe|\*|https?:/);
  expect(page.headers.get('access-control-allow-origin')).toBeNull();
  expect(await page.text()).not.toMatch(/<script(?! src="\/ops\/)|<style|\son\w+=/);
  expect((await fetch(`${ops}/metrics`)).status).toBe(200);
  expect((await fetch(`${ops}/nothing`)).status).toBe(404);
});

jest.setTimeout(90_000);

describeWith(['chromium'], 'the ops page in Chromium', () => {
  let browser: Browser;
  let page: Page;
  let complaints: string[];
  beforeAll(async () => {
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 390, height: 844 } });
    complaints = complaintsOf(page);
    await page.goto(ops);
  });
  afterAll(() => browser?.close());

  const state = (text: RegExp) =>
    page.getByRole('status').filter({ hasText: text }).waitFor({ timeout: 40_000 });
  const happened = (text: RegExp) =>
    page.locator('#lines li').filter({ hasText: text }).first().waitFor({ timeout: 40_000 });

  test('shows workers, a kill and the recovery as they happen', async () => {
    await state(/^1 of 1 workers ready$/);
    const rows = page.locator('#workers tr');
    expect(await rows.count()).toBe(1);
    await rows.first().getByText('MiB').first().waitFor();
    const [victim = 0] = service.workerPids();
    process.kill(victim, 'SIGKILL');
    await state(/^0 of 1 workers ready$/);
    await happened(/worker exited unexpectedly/);
    await state(/^1 of 1 workers ready$/);
    await page.locator('#workers').getByText(`(pid ${victim})`).waitFor({ state: 'detached' });
    await page.locator('#charts canvas').first().waitFor();
    expect(await page.locator('#charts canvas').count()).toBe(4);
    // As on the axis.
    const time = page.locator('#charts .u-legend .u-value').first();
    expect(await time.textContent()).toMatch(/^(–|\d\d:\d\d)$/);
  });

  test('values that no worker reports are unknown', async () => {
    // The workers of this fixture have no cache and no mails.
    const told = async (name: string) =>
      page.locator('#now div').filter({ hasText: name }).locator('dd').textContent();
    await page.locator('#now dd').first().waitFor({ timeout: 40_000 });
    expect(await told('Redis')).toBe('unknown');
    expect(await told('Circuit breaker')).toBe('unknown');
    expect(await told('Background queue')).toBe('unknown waiting, unknown mails');
    expect(await told('Requests in flight')).toMatch(/^\d+$/);
  });

  test('a worker is added by the keyboard, with the token, after a question', async () => {
    await page.getByRole('button', { name: 'One more' }).focus();
    await page.keyboard.press('Enter');
    const token = page.getByLabel(/^Token/);
    await token.fill('not the token');
    await page.keyboard.press('Enter');
    await page
      .getByRole('alert')
      .filter({ hasText: /^wrong token/ })
      .waitFor();
    await token.fill(await printedToken());
    await page.keyboard.press('Enter');
    await state(/^2 of 2 workers ready$/);
    await happened(/number of workers changed/);
  });

  test('a drained worker is replaced, and a reload replaces all', async () => {
    const before = service.workerPids();
    await page
      .getByRole('button', { name: /^Drain worker/ })
      .first()
      .click();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await happened(/worker is being replaced/);
    await page.getByRole('button', { name: 'Reload all' }).click();
    await page.getByRole('button', { name: 'Confirm' }).click();
    await happened(/rolling reload finished/);
    await state(/^2 of 2 workers ready$/);
    expect(service.workerPids().filter((pid) => before.includes(pid))).toEqual([]);
  });

  test.each(['light', 'dark'] as const)('%s: accessible, and fits a phone', async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    expect(await seriousFindings(page)).toEqual([]);
    expect(await sidewaysPixels(page)).toBe(0);
    expect(complaints).toEqual([]);
  });
});
