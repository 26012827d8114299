import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startTestService, type TestService } from '../tests/support/app';
import { type CuttingProxy, startCuttingProxy } from '../tests/support/cutting-proxy';
import { root } from '../tests/support/service';
import { findTool } from '../tests/support/tools';
import { pause } from './process-kit';
import { type Scenario, SkipScenario } from './scenario';

/** As shipped: a shorter one would end sessions where the machine alone is slow. */
const GRACE_SECONDS = 10;
/** Every other one without an end of the connection, as where a network is left. */
const LOSSES = ['silent', 'before', 'silent', 'within'] as const;
const EMPTY = '<!doctype html><title>tab</title>';

/** An empty page, and the files of the package beside it. */
async function startPages(): Promise<{ server: Server; url: string }> {
  const server = createServer((req, res) => {
    const path = normalize(req.url ?? '/');
    const isModule = /^\/[a-z-]+\.js$/.test(path);
    res.setHeader('content-type', isModule ? 'text/javascript' : 'text/html');
    res.end(isModule ? readFileSync(join(root, 'packages/client/dist/esm', path)) : EMPTY);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://localhost:${(server.address() as AddressInfo).port}/` };
}

/** In the page. A new client has an access token that is spoiled (token) or none (cookie). */
const RACE = `async ({ baseUrl, mode }) => {
  const { createClient } = await import('/index.js');
  const storage = mode === 'token' ? { storage: localStorage } : {};
  const client = createClient({ baseUrl, mode, ...storage, storageKey: mode });
  try {
    return (await client.users.get('me')).email;
  } catch (error) {
    return String(error.code ?? error);
  } finally {
    client.close();
  }
}`;
const SPOIL = `() => {
  const tokens = JSON.parse(localStorage.getItem('token'));
  localStorage.setItem('token', JSON.stringify({ ...tokens, access_token: 'spoiled' }));
}`;
const REGISTER = `async ({ baseUrl, mode, email }) => {
  const { createClient } = await import('/index.js');
  const storage = mode === 'token' ? { storage: localStorage } : {};
  const client = createClient({ baseUrl, mode, ...storage, storageKey: mode });
  await client.auth.register({ name: 'Ada', email, password: 'correct horse battery' });
  window.kept = JSON.parse(localStorage.getItem('token'))?.refresh_token;
  client.close();
}`;
/** Planted: each tab refreshes with the token that it remembers. */
const PLAIN = `async ({ baseUrl }) => {
  window.kept ??= JSON.parse(localStorage.getItem('token')).refresh_token;
  const answer = await fetch(baseUrl + '/api/auth/refresh', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refresh_token: window.kept }),
  });
  const body = await answer.json();
  if (answer.ok) window.kept = body.refresh_token;
  return answer.ok ? 'ok' : body.code;
}`;
/** Playwright calls a function that is given as text when it has an argument. */
const inPage = (page: Page, program: string, input: object): Promise<unknown> =>
  page.evaluate(`(${program})(${JSON.stringify(input)})`);

interface Tabs {
  readonly pages: readonly [Page, Page];
  readonly baseUrl: string;
}

const EMAILS = { token: 'token@example.org', cookie: 'cookie@example.org' };

/** Of both tabs: the address of the user, or the code of the error. */
async function race({ pages, baseUrl }: Tabs, mode: 'token' | 'cookie', isLate: boolean) {
  const [one, other] = pages;
  const spoil = async () => mode === 'token' && (await inPage(one, SPOIL, {}));
  await spoil();
  const ask = (page: Page) => inPage(page, RACE, { baseUrl, mode });
  if (!isLate) return Promise.all([ask(one), ask(other)]);
  const first = await ask(one);
  await pause(GRACE_SECONDS * 1000 + 500);
  await spoil();
  return [first, await ask(other)];
}

async function races(tabs: Tabs, rounds: number): Promise<Record<string, number>> {
  for (const mode of ['token', 'cookie'] as const)
    await inPage(tabs.pages[0], REGISTER, { baseUrl: tabs.baseUrl, mode, email: EMAILS[mode] });
  let [logouts, late] = [0, 0];
  for (let round = 0; round < rounds && logouts < 10; round += 1) {
    const mode = round % 2 === 0 ? 'token' : 'cookie';
    // Now and then a tab that was in the background for longer than the grace window.
    const isLate = round % 50 === 10;
    const answers = await race(tabs, mode, isLate);
    late += Number(isLate);
    if (answers.every((answer) => answer === EMAILS[mode])) continue;
    logouts += 1;
    console.error(`round ${round}: ${JSON.stringify(answers)}`);
  }
  return { races: rounds, 'after the grace window': late, logouts };
}

async function plainRaces({ pages, baseUrl }: Tabs): Promise<Record<string, number>> {
  const [one, other] = pages;
  await inPage(one, REGISTER, { baseUrl, mode: 'token', email: 'token@example.org' });
  await inPage(other, PLAIN, { baseUrl });
  await pause(GRACE_SECONDS * 1000 + 500);
  const answers = [await inPage(one, PLAIN, { baseUrl }), await inPage(other, PLAIN, { baseUrl })];
  return { races: 1, logouts: answers.filter((answer) => answer !== 'ok').length };
}

export const tabRaces: Scenario = {
  name: 'tab-races',
  title:
    'two tabs whose access token has expired ask at once; half in token mode, half in cookie mode; every tenth answer of a refresh lost, half of them with the connection left open',
  goal: '0 logouts',
  planted: 'each tab remembers its refresh token',
  async run({ quick, planted }) {
    const executablePath = findTool('chromium');
    if (executablePath === undefined) throw new SkipScenario('chromium is not installed');
    const site = await startPages();
    let [service, proxy, browser]: [TestService?, CuttingProxy?, Browser?] = [];
    try {
      service = await startTestService({
        BROWSER_ORIGINS: site.url.replace(/\/$/, ''),
        REFRESH_GRACE_SECONDS: String(GRACE_SECONDS),
      });
      const port = Number(new URL(service.baseUrl).port);
      const refresh = /^POST \/api\/auth\/refresh/;
      proxy = await startCuttingProxy(port, planted ? 0 : 10, refresh, LOSSES);
      const args = ['--no-sandbox', '--disable-dev-shm-usage'];
      browser = await chromium.launch({ executablePath, args });
      const context = await browser.newContext();
      const pages = [await context.newPage(), await context.newPage()] as const;
      for (const page of pages) await page.goto(site.url);
      const baseUrl = proxy.url.replace('127.0.0.1', 'localhost');
      const tabs = { pages, baseUrl };
      const seen = planted ? await plainRaces(tabs) : await races(tabs, quick ? 40 : 1000);
      const figures = { ...seen, 'answers cut': proxy.cut() };
      return { met: seen['logouts'] === 0, figures };
    } finally {
      await browser?.close();
      await proxy?.close();
      await service?.close();
      site.server.close();
    }
  },
};
