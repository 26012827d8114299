import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { seedUsers } from '../../../dev/loadtest/data/seed';
import { parseConfig } from '../../../src/kernel/config/config';
import { startTestService, type TestService } from '../../support/app';
import {
  complaintsOf,
  launchChromium,
  seriousFindings,
  sidewaysPixels,
} from '../../support/chromium';
import { startLoadtest } from '../../support/loadtest';
import { startTestMongo, type TestMongo } from '../../support/mongo';

const SETTINGS = {
  ...{ NODE_ENV: 'test', BCRYPT_COST: '4', PUBLIC_URL: 'http://localhost:3000' },
  JWT_SECRET: 'kJ8v2Xq7Wm4Zr9Tb3Ny6Lp1Fd5Hs0GcQ',
};

const folder = mkdtempSync(join(tmpdir(), 'loadtest-'));
let mongo: TestMongo;
let service: TestService;
beforeAll(async () => {
  mongo = await startTestMongo();
  service = await startTestService(SETTINGS, mongo);
  const config = parseConfig({ ...SETTINGS, MONGODB_URI: mongo.uri });
  await seedUsers(service.database.connection, config, 200);
}, 120_000);
afterAll(async () => {
  await service?.close();
  await mongo?.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  startLoadtest(folder, argv, { ...SETTINGS, MONGODB_URI: mongo.uri, ...env });

const run = (argv: readonly string[], env?: Readonly<Record<string, string>>) =>
  start(argv, env).ended;
const load = (more: readonly string[]) => [
  '--target',
  service.baseUrl,
  '--processes',
  '1',
  ...more,
];

test('an invalid command ends with 64, production settings with 78', async () => {
  expect(await run(['--target', 'https://example.org'])).toMatchObject({ code: 64 });
  const unwritable = ['--target', 'http://127.0.0.1:9', '--report', '/nonexistent/r.html'];
  expect(await run(unwritable)).toMatchObject({
    code: 64,
    progress: expect.stringContaining('/nonexistent/r.html cannot be written (ENOENT)'),
  });
  const refused = await run(['seed', '--users', '5'], { NODE_ENV: 'production' });
  expect(refused.code).toBe(78);
  expect(refused.progress).toContain('NODE_ENV is production');
});

test('a target with another key is refused before the load', async () => {
  const other = { JWT_SECRET: 'another key, of another deployment, long enough' };
  const { code, progress } = await run(load([]), other);
  expect(code).toBe(1);
  expect(progress).toContain('answered 401 to a token that was signed by these settings');
});

test('a closed loop of all kinds is measured, and leaves no session', async () => {
  const report = join(folder, 'mixed.html');
  const more = ['--scenario', 'mixed', '--duration-seconds', '3', '--connections', '8'];
  const { code, out, progress } = await run(load([...more, '--report', report]));
  expect({ code, progress }).toMatchObject({ code: 0 });
  expect(progress).toMatch(/^\d s of 3 s, \d s left · [\d,]+ answers\/s · p50 .* · 0 errors\/s$/m);
  expect(out).toMatch(/good answers, [\d,]+ a second, p50 .*, 0 errors/);
  const html = readFileSync(report, 'utf8');
  for (const kind of ['profile', 'user', 'not-modified', 'list', 'update', 'refresh'])
    expect(html).toContain(`<td>${kind}</td>`);
  const left = await service.database.connection
    .collection('sessions')
    .countDocuments({ userAgent: 'loadtest' });
  expect(left).toBe(0);
});

test('Ctrl-C ends an open loop early and writes the report', async () => {
  const report = join(folder, 'early.html');
  const more = ['--rate', '50', '--duration-seconds', '600', '--report', report];
  const { child, ended } = start(load(more));
  await new Promise<void>((resolve) =>
    child.stderr?.on('data', (text: string) => {
      if (/answers\/s/.test(text)) resolve();
    }),
  );
  child.kill('SIGINT');
  const { code } = await ended;
  expect(code).toBe(130);
  expect(readFileSync(report, 'utf8')).toMatch(/open loop, 50 requests\/s · \d+ of 600 s/);
});

describe('the report in Chromium', () => {
  // Of the closed loop above.
  const report = join(folder, 'mixed.html');
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());

  test.each([
    ['light', 1200],
    ['dark', 1200],
    ['light', 390],
  ] as const)('%s, %i px wide', async (colorScheme, width) => {
    expect(existsSync(report)).toBe(true);
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 844 } });
    const complaints = complaintsOf(page);
    await page.goto(`file://${report}`);
    expect(await page.title()).toBe('Load test: mixed');
    expect(await page.locator('#limit p').textContent()).toMatch(/^Unknown: the metrics/);
    expect(await page.locator('#errors').textContent()).toMatch(/None\.$/);
    for (const id of ['rate', 'latency', 'use'])
      expect(await page.locator(`#${id} svg[role=img]`).boundingBox()).toMatchObject({
        height: expect.any(Number),
      });
    const line = await page
      .locator('#rate path.s0')
      .evaluate('node => getComputedStyle(node).stroke');
    expect(line).not.toBe('none');
    await page.locator('summary').click();
    expect(await page.locator('details tbody tr').count()).toBeGreaterThanOrEqual(3);
    expect(await sidewaysPixels(page)).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });
});
