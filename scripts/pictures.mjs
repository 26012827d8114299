// Takes the pictures of docs/pictures in Chromium: light, dark, and on a phone. `npm run pictures -- docs try` takes some of
// them; CHROMIUM names the browser.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { registered, startBuilt } from './browser/service.mjs';

const FOLDER = 'docs/pictures';
const TIMEOUT_MS = 120_000;
const wide = { width: 1200, height: 860 };
const phone = { width: 390, height: 844 };

mkdirSync(FOLDER, { recursive: true });
const service = await startBuilt();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
});
const taken = async (path, url, options, prepare = async () => {}) => {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(TIMEOUT_MS);
  await page.goto(url);
  await prepare(page);
  await page.screenshot({ path: `${FOLDER}/${path}.png` });
  await page.close();
};

async function opsPictures() {
  const page = await browser.newPage({ viewport: wide });
  await page.goto(service.ops);
  await page.locator('#span').selectOption('300');
  const { headers } = await registered(service.url);
  let isOver = false;
  const load = (async () => {
    for (let i = 0; !isOver; i += 1) {
      const path =
        i % 9 === 0
          ? '/api/users?limit=2'
          : i % 40 === 0
            ? '/api/auth/nothing'
            : '/api/auth/profile';
      await fetch(`${service.url}${path}`, { headers }).then(
        (answer) => answer.arrayBuffer(),
        () => {},
      );
      await delay(5 + 4 * Math.sin(i / 500));
    }
  })();
  await delay(45_000);
  process.kill(service.workers[0], 'SIGKILL');
  await delay(12_000);
  const themes = [
    ['ops', wide, 'light'],
    ['ops-dark', wide, 'dark'],
    ['ops-phone', phone, 'light'],
  ];
  for (const [name, viewport, colorScheme] of themes) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    await delay(600);
    await page.screenshot({ path: `${FOLDER}/${name}.png` });
  }
  isOver = true;
  await load;
  await page.close();
}

const takenInThemes = async (path, url, prepare) => {
  await taken(path, url, { viewport: wide }, prepare);
  await taken(`${path}-dark`, url, { viewport: wide, colorScheme: 'dark' }, prepare);
  await taken(`${path}-phone`, url, { viewport: phone }, prepare);
};

const docsPictures = () => takenInThemes('docs', `${service.url}/docs#login`);

async function tryPictures() {
  const { email, password } = await registered(service.url);
  await takenInThemes('try', `${service.url}/docs/try#/auth/profile`, async (page) => {
    const operation = page.locator('#operations-auth-profile');
    await operation.getByRole('button', { name: 'Try it out' }).click();
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.keyboard.press('Enter');
    await page.getByText('Logged in as').waitFor();
    await operation.getByRole('button', { name: 'Execute' }).click();
    await operation.locator('.live-responses-table').waitFor();
    // The form, and below it the operation with its answer.
    await page.locator('#swagger .info').evaluate((element) => element.remove());
    await page.evaluate('scrollTo(0, 0)');
  });
}

const PEOPLE = [
  ...['Alan Turing', 'Barbara Liskov', 'Edsger Dijkstra', 'Frances Allen', 'Grace Hopper'],
  ...['John Backus', 'Katherine Johnson', 'Leslie Lamport', 'Margaret Hamilton', 'Niklaus Wirth'],
];

async function administratorToken() {
  const answer = await fetch(`${service.url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(service.admin),
  });
  return (await answer.json()).access_token;
}

async function adminPictures() {
  const headers = {
    authorization: `Bearer ${await administratorToken()}`,
    'content-type': 'application/json',
  };
  for (const name of PEOPLE) {
    const email = `${name.toLowerCase().replace(' ', '.')}@example.org`;
    const body = JSON.stringify({ name, email, password: 'correct horse battery' });
    await fetch(`${service.url}/api/users`, { method: 'POST', headers, body });
  }
  const signedIn = async (page) => {
    await page.getByLabel('E-mail').fill(service.admin.email);
    await page.getByLabel('Password').fill(service.admin.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'Users', exact: true }).click();
    await page.getByRole('link', { name: 'Grace Hopper' }).waitFor();
  };
  const url = `${service.url}/admin`;
  await taken('admin', url, { viewport: wide }, signedIn);
  await taken('admin-phone', url, { viewport: phone }, signedIn);
  await taken('admin-dark', url, { viewport: wide, colorScheme: 'dark' }, async (page) => {
    await signedIn(page);
    await page.getByRole('link', { name: 'Grace Hopper' }).click();
    await page.getByRole('heading', { name: 'Grace Hopper', level: 1 }).waitFor();
    await page.getByText('Loading…').first().waitFor({ state: 'detached' });
  });
}

async function loadTestPictures() {
  const folder = mkdtempSync(join(tmpdir(), 'pictures-loadtest-'));
  const report = join(folder, 'report.html');
  const run = (...args) =>
    promisify(execFile)(process.execPath, ['dist/dev/loadtest/main.js', ...args], {
      env: service.env,
      timeout: TIMEOUT_MS,
    });
  try {
    await run('seed', '--users', '2000');
    const where = ['--target', service.url, '--metrics', `${service.ops}/metrics`];
    await run(...where, '--scenario', 'mixed', '--duration-seconds', '20', '--report', report);
    const { href } = pathToFileURL(report);
    await taken('loadtest', href, { viewport: { width: 1200, height: 1100 } });
    await taken('loadtest-dark', href, {
      viewport: { width: 1200, height: 1100 },
      colorScheme: 'dark',
    });
    await taken('loadtest-phone', href, { viewport: phone });
    await run('seed', '--remove');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const pictures = {
  docs: docsPictures,
  try: tryPictures,
  admin: adminPictures,
  loadtest: loadTestPictures,
  ops: opsPictures,
};
const wanted = process.argv.slice(2);
try {
  for (const [name, take] of Object.entries(pictures))
    if (wanted.length === 0 || wanted.includes(name)) await take();
} finally {
  await browser.close();
  await service.close();
}
