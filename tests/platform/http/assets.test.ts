import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chromium } from 'playwright-core';
import { startTestService } from '../../support/app';
import { describeWith, findTool } from '../../support/tools';

/** A CDN: another origin that passes on the responses of the service with their headers. */
async function startCdn(origin: () => string) {
  const seen: string[] = [];
  const server = createServer((incoming, outgoing) => {
    seen.push(incoming.url ?? '');
    request(`${origin()}${incoming.url?.replace(/^\/auth/, '')}`, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://localhost:${port}/auth`,
    seen,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describeWith(['chromium'], 'ASSET_BASE_URL', () => {
  test('the documentation loads its stylesheet from the CDN without a browser error', async () => {
    let origin = '';
    const cdn = await startCdn(() => origin);
    const service = await startTestService({ ASSET_BASE_URL: cdn.url });
    origin = service.baseUrl;
    const browser = await chromium.launch({
      executablePath: findTool('chromium') ?? '',
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    });
    try {
      const page = await browser.newPage();
      const complaints: string[] = [];
      page.on(
        'console',
        (message) => message.type() === 'error' && complaints.push(message.text()),
      );
      page.on('requestfailed', (failed) =>
        complaints.push(`${failed.url()} ${failed.failure()?.errorText}`),
      );
      await page.goto(`${origin}/docs`, { waitUntil: 'load' });
      expect(complaints.filter((text) => !text.includes('favicon'))).toEqual([]);
      const rules = await page.evaluate('[...document.styleSheets].map((sheet) => sheet.href)');
      expect(rules).toEqual([expect.stringContaining(cdn.url)]);
      expect(await page.evaluate('getComputedStyle(document.body).margin')).not.toBe('8px');
      expect(cdn.seen).toEqual([expect.stringMatching(/^\/auth\/docs\/assets\/docs\..+\.css$/)]);
    } finally {
      await browser.close();
      await service.close();
      await cdn.close();
    }
  });
});
