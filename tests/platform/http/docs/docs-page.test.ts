import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { z } from 'zod';
import { readDocument } from '../../../../src/platform/http/docs/document';
import { schemaHtml } from '../../../../src/platform/http/docs/schema';
import { createComponents } from '../../../../src/platform/http/openapi/schemas';
import { startTestService, type TestService } from '../../../support/app';
import {
  complaintsOf,
  launchChromium,
  seriousFindings,
  sidewaysPixels,
} from '../../../support/chromium';
import { root } from '../../../support/service';
import { describeWith } from '../../../support/tools';

interface Media {
  readonly example?: unknown;
}
interface OpenApi {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly operationId: string;
            readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
            readonly responses: Readonly<
              Record<string, { readonly content?: Readonly<Record<string, Media>> }>
            >;
          }
        >
      >
    >
  >;
  readonly components: {
    readonly schemas: Readonly<
      Record<
        string,
        { readonly properties?: Readonly<Record<string, { readonly enum?: readonly string[] }>> }
      >
    >;
    readonly examples: object;
  };
}

const run = promisify(execFile);
let service: TestService;
let openApi: OpenApi;
let html: string;
let folder: string;

beforeAll(async () => {
  service = await startTestService();
  openApi = (await (await fetch(`${service.baseUrl}/openapi.json`)).json()) as OpenApi;
  html = await (await fetch(`${service.baseUrl}/docs`)).text();
  folder = mkdtempSync(path.join(tmpdir(), 'docs-samples-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await service?.close();
});

const unescaped = (text: string) =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
/** The texts of a kind of block, in the order of the page. */
const blocks = (kind: string): readonly string[] =>
  [...html.matchAll(new RegExp(`<pre class="${kind}">(.*?)</pre>`, 'gs'))].map(([, text = '']) =>
    unescaped(text),
  );
const idsOf = (pattern: RegExp): readonly string[] =>
  [...html.matchAll(pattern)].map(([, id = '']) => id).sort();
const operations = () => Object.values(openApi.paths).flatMap((methods) => Object.values(methods));

test('shows every operation, schema, problem code and example of the document', () => {
  expect(idsOf(/<section class="operation" id="(\w+)"/g)).toEqual(
    operations()
      .map(({ operationId }) => operationId)
      .sort(),
  );
  const { schemas, examples } = openApi.components;
  expect(idsOf(/<section class="schema" id="schema-(\w+)"/g)).toEqual(Object.keys(schemas).sort());
  const codes = schemas['Problem']?.properties?.['code']?.enum ?? [];
  expect(idsOf(/<div class="code s\d" id="code-(\w+)"/g)).toEqual([...codes].sort());

  const shown = blocks('example').map((text) => text.trimEnd());
  const media = operations().flatMap(({ requestBody, responses }) =>
    [requestBody, ...Object.values(responses)].flatMap((one) => Object.values(one?.content ?? {})),
  );
  const expected = [
    ...media.flatMap(({ example }) => (example === undefined ? [] : [example])),
    ...Object.values(examples).map(({ value }: { value: unknown }) => value),
  ].map((value) => (typeof value === 'string' ? value : JSON.stringify(value, null, 2)).trimEnd());
  expect([...shown].sort()).toEqual([...expected].sort());
});

test('every reference leads to something on the page', () => {
  const ids = new Set(idsOf(/ id="([^"]+)"/g));
  const links = idsOf(/href="#([^"]+)"/g);
  expect(links.filter((id) => !ids.has(id))).toEqual([]);
  expect(html).not.toMatch(/\$ref|undefined|\[object/);
});

test('every curl sample is a shell command, and one of them is answered', async () => {
  const samples = blocks('sample curl');
  expect(samples).toHaveLength(operations().length + 1);
  const { status, stderr } = spawnSync('bash', ['-n'], { input: samples.join('\n') });
  expect([status, String(stderr)]).toEqual([0, '']);

  const profile = samples.find((text) => text.includes('/api/auth/profile"')) ?? '';
  const settings = `API=${service.baseUrl}\nTOKEN=${await token()}\n`;
  const { stdout } = await run('bash', [
    '-c',
    `${settings}${profile} --silent --output /dev/null --write-out '%{http_code}'`,
  ]);
  expect(stdout).toBe('200');
});

test('every JavaScript sample has the types of the client, and one of them runs', async () => {
  const [setup = '', ...samples] = blocks('sample javascript');
  expect(samples).toHaveLength(operations().length);
  const declared = `${setup}\ndeclare const clientId: string, clientSecret: string;\n`;
  const functions = samples.map((text) => `export async function _() {\n${text}\n}`);
  const names = functions.map((text, i) => text.replace(' _()', ` sample${i}()`));
  writeFileSync(path.join(folder, 'samples.ts'), declared + names.join('\n'));
  const client = path.join(root, 'packages/client/dist');
  writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        ...{ strict: true, noEmit: true, target: 'es2022', module: 'esnext', types: [] },
        ...{ moduleResolution: 'bundler', lib: ['es2022', 'dom', 'dom.iterable'] },
        ...{ paths: { '@clustered-auth/client': [`${client}/esm/index.d.ts`] } },
      },
      files: ['samples.ts'],
    }),
  );
  const tsc = path.join(root, 'node_modules/.bin/tsc');
  const checked = await run(tsc, ['-p', folder]).catch((error: { stdout: string }) => error);
  expect(checked.stdout).toBe('');

  const own = samples.find((text) => text.includes("client.users.get('me')")) ?? '';
  const login = samples.find((text) => text.includes('client.auth.login(')) ?? '';
  const { email, password } = service.admin;
  const program = `const { createClient } = require(${JSON.stringify(`${client}/cjs/index.js`)});
${setup.replace(/import.*\n/, '').replace(/https:[^']+/, service.baseUrl)}
(async () => {
${login.replace(/\(\{.*\}\)/s, `(${JSON.stringify({ email, password })})`)}
${own}
console.log(user.email);
})();`;
  const { stdout } = await run(process.execPath, ['-e', program]);
  expect(stdout).toBe(`${email}\n`);
}, 120_000);

describeWith(['chromium'], '/docs in Chromium', () => {
  let browser: Browser;
  let page: Page;
  let complaints: string[];
  beforeAll(async () => {
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 390, height: 844 } });
    page.setDefaultTimeout(90_000);
    complaints = complaintsOf(page);
    await page.goto(`${service.baseUrl}/docs`);
  }, 120_000);
  afterAll(() => browser?.close());

  test('the language of all samples is chosen by the keyboard', async () => {
    const shown = () => page.locator('#login pre.sample:visible').allTextContents();
    expect(await shown()).toEqual([expect.stringMatching(/^curl "\$API\/api\/auth\/login"/)]);
    await page.getByLabel('curl').focus();
    await page.keyboard.press('ArrowRight');
    expect(await shown()).toEqual([expect.stringMatching(/^const result = await client/)]);
    expect(await page.locator('pre.curl:visible').count()).toBe(0);
  }, 120_000);

  test('on a phone the menu opens, leads to an operation and closes, by the keyboard', async () => {
    const menu = page.getByRole('navigation');
    expect(await menu.isVisible()).toBe(false);
    await page.getByRole('link', { name: 'Menu', exact: true }).focus();
    await page.keyboard.press('Enter');
    await menu.waitFor();
    await menu.getByRole('link', { name: /\/api\/auth\/sessions$/ }).focus();
    await page.keyboard.press('Enter');
    await menu.waitFor({ state: 'hidden' });
    const top = (await page.locator('#listSessions').boundingBox())?.y ?? Infinity;
    expect(top).toBeGreaterThanOrEqual(0);
    expect(top).toBeLessThan(844);
  }, 120_000);

  test.each(['light', 'dark'] as const)(
    '%s: accessible, and fits a phone',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      await page.evaluate(
        'for (const one of document.querySelectorAll("details")) one.open = true',
      );
      for (const language of ['curl', 'JavaScript']) {
        await page.getByLabel(language).check();
        expect(await sidewaysPixels(page)).toBe(0);
      }
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390);
      // The others have the same structure, and axe-core takes minutes for all of them.
      await page.evaluate(`
      const keep = '#login, #listUsers, #importUsers, #verifyFactor, #schema-Problem, #schema-SignIn, #code-email_taken';
      for (const one of document.querySelectorAll('section, .code')) if (!one.matches(keep)) one.remove()`);
      expect(await seriousFindings(page)).toEqual([]);
      expect(complaints).toEqual([]);
    },
    300_000,
  );
});

async function token(): Promise<string> {
  const { email, password } = service.admin;
  const answer = await fetch(`${service.baseUrl}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  return ((await answer.json()) as { access_token: string }).access_token;
}

test('a schema that contains itself is shown once, and then named', () => {
  const node = { $ref: '#/components/schemas/Node' };
  const { resolve } = readDocument({
    ...{ info: {}, tags: [], paths: {} },
    components: {
      schemas: {
        Node: { anyOf: [{ type: 'string' }, { type: 'array', items: node }] },
        Loop: { $ref: '#/components/schemas/Loop' },
      },
    },
  });
  const shown = schemaHtml({ anyOf: [node, node] }, resolve);
  // Twice where it is used, and once within each of them.
  expect(shown.match(/href="#schema-Node"/g)).toHaveLength(4);
  expect(shown.match(/A list of:/g)).toHaveLength(2);
  expect(schemaHtml({ $ref: '#/components/schemas/Loop' }, resolve)).toContain('#schema-Loop');
});

test('the example of a schema that contains itself ends', () => {
  const components = createComponents();
  const tree: z.ZodType = z
    .object({ name: z.string(), children: z.array(z.lazy(() => tree)) })
    .meta({ id: 'Tree' });
  const schema = components.schemaOf(z.object({ root: tree }), 'output');
  const example = { root: { name: 'text', children: [] } };
  expect([components.exampleOf(schema), components.exampleOf(schema)]).toEqual([example, example]);
});
