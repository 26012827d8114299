import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { startTestService, type TestService } from '../../../support/app';
import { createClient, eventually, PASSWORD, register, uniqueEmail } from '../../../support/http';
import { describeWith, findTool } from '../../../support/tools';

/** Serves one empty page: what it does, the tests tell it. */
async function startPages(): Promise<{ server: Server; port: number }> {
  const server = createServer((_req, res) => {
    res.setHeader('content-type', 'text/html');
    res.end('<!doctype html><title>page</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

interface Result {
  readonly status: number;
  readonly text: string;
}

describeWith(['chromium'], 'pages in a browser', () => {
  let browser: Browser;
  let context: BrowserContext;
  let service: TestService;
  let own: { server: Server; port: number };
  let foreign: { server: Server; port: number };
  let api: string;
  const log: { readonly method?: string; readonly status?: number }[] = [];
  let account: { email: string; password: string };

  beforeAll(async () => {
    [own, foreign] = [await startPages(), await startPages()];
    service = await startTestService(
      { BROWSER_ORIGINS: `http://localhost:${own.port}`, LOG_LEVEL: 'info' },
      undefined,
      { write: (line) => log.push(JSON.parse(line)) },
    );
    api = service.baseUrl.replace('127.0.0.1', 'localhost');
    browser = await chromium.launch({
      executablePath: findTool('chromium') ?? '',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await service?.close();
    for (const one of [own, foreign]) one?.server.close();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    const email = uniqueEmail('page');
    await register(createClient(service.baseUrl), { email });
    account = { email, password: PASSWORD };
  });
  afterEach(() => context?.close());

  async function open(url: string): Promise<Page> {
    const page = await context.newPage();
    await page.goto(url);
    return page;
  }
  const ownPage = () => open(`http://localhost:${own.port}/`);

  /** `fetch` in the page; undefined where the browser refuses it. */
  const send = (page: Page, path: string, init: object = {}): Promise<Result | undefined> =>
    page.evaluate(
      async ({ url, options }) => {
        try {
          const answer = await fetch(url, options);
          return { status: answer.status, text: await answer.text() };
        } catch {
          return undefined;
        }
      },
      {
        url: `${api}${path}`,
        options: { method: 'POST', credentials: 'include', ...init } as object,
      },
    );
  const json = (body: unknown, headers: object = {}) => ({
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const refresh = (page: Page) => send(page, '/api/auth/refresh', json({}));
  const login = (page: Page, as = account) =>
    send(page, '/api/auth/login', json(as, { 'refresh-token-mode': 'cookie' }));
  const cookies = async () =>
    (await context.cookies(api)).filter(({ name }) => name === '__Host-refresh_token');

  /** The allowed page signs in. */
  async function signedIn(): Promise<Page> {
    const page = await ownPage();
    expect(await login(page)).toMatchObject({ status: 200 });
    expect(await cookies()).toHaveLength(1);
    return page;
  }

  test('an own page signs in, stays signed in over a reload, and signs out', async () => {
    const page = await ownPage();
    const answer = await login(page);
    expect(answer).toMatchObject({ status: 200, text: expect.stringContaining('access_token') });
    expect(answer?.text).not.toContain('refresh_token');
    expect(await cookies()).toEqual([
      expect.objectContaining({ httpOnly: true, secure: true, sameSite: 'Strict', path: '/' }),
    ]);
    expect(await page.evaluate('document.cookie')).toBe('');
    const [before] = await cookies();
    await page.reload();
    expect(await refresh(page)).toMatchObject({ status: 200 });
    const [after] = await cookies();
    expect(after?.value).not.toBe(before?.value);
    // With the cookie alone, as a page whose access token has expired.
    expect(await send(page, '/api/auth/logout')).toMatchObject({ status: 204 });
    expect(await cookies()).toEqual([]);
    expect(await refresh(page)).toMatchObject({ status: 401 });
  });

  test('two tabs refresh at once, and both stay signed in', async () => {
    const [one, two] = [await signedIn(), await ownPage()];
    const answers = await Promise.all([refresh(one), refresh(two), refresh(one), refresh(two)]);
    expect(answers.map((answer) => answer?.status)).toEqual([200, 200, 200, 200]);
    expect(await refresh(two)).toMatchObject({ status: 200 });
  });

  test('a cookie whose session has ended is removed by the next refresh', async () => {
    const page = await signedIn();
    await service.database.connection.collection('sessions').deleteMany({});
    expect(await refresh(page)).toMatchObject({ status: 401 });
    expect(await cookies()).toEqual([]);
  });

  describe.each<[string, () => string, number]>([
    // The browser sends the cookie for it: only the Origin tells the pages apart.
    ['of the same site and another origin', () => `http://localhost:${foreign.port}/`, 403],
    ['of another site', () => `http://127.0.0.1:${foreign.port}/`, 401],
  ])('a page %s', (_name, url, refusal) => {
    const simple = { mode: 'no-cors', headers: { 'content-type': 'text/plain' } };

    test('cannot refresh or log out by fetch', async () => {
      const page = await signedIn();
      const [before] = await cookies();
      const evil = await open(url());
      const from = log.length;
      // Refused by the preflight: they never arrive.
      expect(await refresh(evil)).toBeUndefined();
      expect(await send(evil, '/api/auth/logout', json({}))).toBeUndefined();
      // Sent without one. The page cannot see the answers, so the service's log tells them.
      await send(evil, '/api/auth/refresh', { ...simple, body: '{}' });
      await send(evil, '/api/auth/logout', { mode: 'no-cors' });
      await send(evil, '/api/auth/logout?scope=global', { mode: 'no-cors' });
      const statuses = await eventually('three answers', () => {
        const posts = log.slice(from).filter(({ method }) => method === 'POST');
        return posts.length >= 3 && posts.map(({ status }) => status);
      });
      // 403: with the cookie, of a wrong Origin. 401: the browser has kept the cookie back.
      expect(statuses).toEqual([415, refusal, refusal]);
      expect(await cookies()).toEqual([before]);
      expect(await refresh(page)).toMatchObject({ status: 200 });
    });

    test('cannot refresh, log out or log in by a form', async () => {
      const page = await signedIn();
      const [before] = await cookies();
      for (const [path, name] of [
        ['/api/auth/refresh', '{"a":"'],
        ['/api/auth/logout', ''],
        ['/api/auth/login', `{"email":"${account.email}","password":"${PASSWORD}","a":"`],
      ]) {
        const evil = await open(url());
        const answered = evil.waitForResponse((answer) => answer.url() === `${api}${path}`);
        // The names of a form in text/plain can spell JSON.
        await evil.setContent(
          `<form method=post enctype=text/plain action="${api}${path}"><input></form>`,
        );
        await evil
          .locator('input')
          .evaluate(
            (input, field) => Object.assign(input, { name: field, value: '"}' }),
            name ?? '',
          );
        await evil.evaluate('document.forms[0].submit()');
        expect((await answered).status()).toBeGreaterThanOrEqual(400);
        await evil.close();
      }
      expect(await cookies()).toEqual([before]);
      expect(await refresh(page)).toMatchObject({ status: 200 });
    });

    test('cannot sign the browser in to an account of its own', async () => {
      const evil = await open(url());
      expect(await login(evil)).toBeUndefined();
      await send(evil, '/api/auth/login', { ...simple, body: JSON.stringify(account) });
      expect(await cookies()).toEqual([]);
    });
  });
});
