import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { startTestService, type TestService } from '../../support/app';
import { launchChromium } from '../../support/chromium';
import { root } from '../../support/service';
import { describeWith } from '../../support/tools';
import { withServer } from '../../support/with-server';

/** A page by plain HTTP of another host than this one: browsers withhold functions from it. */
describeWith(['chromium'], 'a page that came by plain HTTP', () => {
  let [service, browser]: [TestService?, Browser?] = [];
  beforeAll(async () => {
    service = await startTestService();
    browser = await launchChromium(['--host-resolver-rules=MAP app.example 127.0.0.1']);
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await service?.close();
  });

  const PROGRAM = `(async () => {
    const { createClient } = await import('/client/index.js');
    const client = createClient({ baseUrl: location.origin, storage: localStorage });
    const account = { name: 'Ada', email: 'ada@example.org', password: 'correct horse battery' };
    await client.auth.register(account);
    await client.users.update('me', ({ name }) => ({ name: name + ' Lovelace' }));
    const { name } = await client.users.get('me');
    await client.auth.logout();
    client.close();
    return [isSecureContext, typeof crypto.randomUUID, typeof navigator.locks, name];
  })()`;

  /** The page, the package, and the service behind them: as one origin. */
  const createSite = (to: string) =>
    createServer((req, res) => {
      const [, name] = /^\/client\/(.+)$/.exec(req.url ?? '') ?? [];
      if (name === undefined) {
        const { method, headers } = req;
        const forward = request(to + req.url, { method, headers: { ...headers } }, (answer) => {
          res.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(res);
        });
        return req.pipe(forward);
      }
      if (name === 'page') return res.setHeader('content-type', 'text/html').end();
      const file = path.join(root, 'packages/client/dist/esm', path.basename(name));
      return res.setHeader('content-type', 'text/javascript').end(readFileSync(file));
    });

  test('registers, updates and signs out', async () => {
    const { baseUrl } = service as TestService;
    const page = await (browser as Browser).newPage();
    const seen = await withServer(createSite(baseUrl), async (port) => {
      await page.goto(`http://app.example:${port}/client/page`);
      const result = await page.evaluate(PROGRAM);
      await page.close();
      return result;
    });
    expect(seen).toEqual([false, 'undefined', 'undefined', 'Ada Lovelace']);
  });
});
