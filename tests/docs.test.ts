import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { userView } from '../src/modules/users/view';
import { SLOW_TESTS } from './support/slow-tests';

const ROOT = resolve(__dirname, '../..');
const SKIPPED = new Set(['node_modules', 'dist', 'data', 'coverage', '.git']);
/** Written by programs, which do not wrap lines. */
const GENERATED = new Set(['docs/faults.md', 'bench/RESULTS.md']);
const LINE_MAX = 100;
/** Names of other programs, and names that the sources put together at run time. */
const FOREIGN = /^(X_FILE|MALLOC_ARENA_MAX|smaps_rollup|cache_[a-z_]+_total|auth_mails_[a-z_]+)$/;

function walk(folder: string, isWanted: (name: string) => boolean): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : walk(path, isWanted);
    return isWanted(entry.name) ? [path] : [];
  });
}

const pages = walk(ROOT, (name) => name.endsWith('.md')).map((path) => {
  const text = readFileSync(path, 'utf8');
  return {
    path,
    name: relative(ROOT, path),
    text,
    prose: text.replaceAll(/^```[\s\S]*?^```/gm, ''),
  };
});
/** All that is not documentation: a name in a page has to occur in it. */
const sources = walk(ROOT, (name) =>
  /\.(ts|js|mjs|sh|ya?ml|conf|cfg|template|envsh|json)$/.test(name),
)
  .filter((path) => !/package-lock\.json$|faults\/results|tests\/docs\.test/.test(path))
  .map((path) => ({ name: relative(ROOT, path), text: readFileSync(path, 'utf8') }));
const code = sources.map(({ text }) => text).join('\n');

/** Every match of the pattern's first group, with the page that it stands in. */
const namesIn = (pattern: RegExp, part: 'text' | 'prose' = 'text') =>
  pages.flatMap((page) =>
    [...page[part].matchAll(pattern)].map(([, name = '']) => ({ page, name })),
  );
const show = ({ page, name }: { page: { name: string }; name: string }) => `${page.name}: ${name}`;

/** As GitHub makes anchors of headings. */
const anchorsOf = (text: string): string[] =>
  [...text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6} (.*)$/gm)].map(
    ([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
        .replaceAll(' ', '-'),
  );

test('every relative link and anchor leads somewhere', () => {
  const links = namesIn(/\]\(((?!https?:|mailto:)[^)\s]+)\)/g, 'prose');
  expect(links.length).toBeGreaterThan(50);
  const broken = links.filter(({ page, name }) => {
    const [file = '', anchor] = name.split('#');
    const target = file === '' ? page.path : resolve(dirname(page.path), file);
    if (!existsSync(target)) return true;
    if (anchor === undefined || statSync(target).isDirectory()) return anchor !== undefined;
    return !anchorsOf(readFileSync(target, 'utf8')).includes(anchor);
  });
  expect(broken.map(show)).toEqual([]);
});

test('every script that a page runs exists', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const runs = namesIn(/npm run (?:--silent )?([a-z][a-z:-]*)/g);
  expect(runs.length).toBeGreaterThan(10);
  expect(runs.filter(({ name }) => !(name in scripts)).map(show)).toEqual([]);
});

test('every file that a page names exists', () => {
  const folders = 'src|dev|tests|scripts|bench|faults|deploy|nginx|haproxy|docs|templates|packages';
  const named = namesIn(new RegExp(`\`((?:${folders})/[^\`\\s*{}<>…]+)\``, 'g'));
  const built = namesIn(/\bdist\/((?:src|tests)\/[\w./-]+)\.js\b/g).map(({ page, name }) => ({
    page,
    name: `${name}.ts`,
  }));
  expect(named.length).toBeGreaterThan(50);
  const missing = [...named, ...built].filter(
    ({ page, name }) =>
      !existsSync(join(ROOT, name)) && !existsSync(join(dirname(page.path), name)),
  );
  expect(missing.map(show)).toEqual([]);
});

test('every page that a source names exists', () => {
  const missing = sources.flatMap(({ name, text }) =>
    [...text.matchAll(/\bdocs\/[a-z0-9/-]+\.(?:md|svg)\b/g)]
      .filter(([page]) => !existsSync(join(ROOT, page)))
      .map(([page]) => `${name}: ${page}`),
  );
  expect(missing).toEqual([]);
});

test('every variable, metric, member and code that a page names occurs in the sources', () => {
  const names = namesIn(/`([A-Z]+(?:_[A-Z0-9]+)+|[a-z]+(?:_[a-z0-9]+)+)(?=[`=:{])/g);
  expect(names.length).toBeGreaterThan(200);
  const unknown = names.filter(
    ({ page, name }) => page.name !== 'CHANGELOG.md' && !FOREIGN.test(name) && !code.includes(name),
  );
  expect([...new Set(unknown.map(show))]).toEqual([]);
});

test('the table of metrics has every metric of the sources', () => {
  const operate = pages.find(({ name }) => name === 'docs/operate.md')?.text ?? '';
  const table = operate.split('## Metrics')[1]?.split('\n## ')[0] ?? '';
  const families = [...table.matchAll(/`([a-z_]+)(\*?)`/g)].map(([, name = '', rest]) =>
    rest === '*'
      ? (metric: string) => metric.startsWith(name)
      : (metric: string) => metric === name,
  );
  const metrics = sources
    .filter(({ name }) => name.startsWith('src/'))
    .flatMap(({ text }) => [...text.matchAll(/name: ['`]([a-z_]+).*\n\s*help:/g)])
    .map(([, name = '']) => name);
  expect(metrics.length).toBeGreaterThan(25);
  expect(metrics.filter((name) => !families.some((isOf) => isOf(name)))).toEqual([]);
});

test(`prose is wrapped at ${LINE_MAX} characters`, () => {
  const long = pages
    .filter(({ name }) => !GENERATED.has(name))
    .flatMap(({ name, prose }) =>
      prose
        .split('\n')
        .filter((line) => [...line].length > LINE_MAX && !/^\s*\||\]\(|https?:|^<!--/.test(line))
        .map((line) => `${name}: ${line.slice(0, 60)}…`),
    );
  expect(long).toEqual([]);
});

test('decisions have one form, and the index names each', () => {
  const isDecision = ({ name }: { name: string }) => /^docs\/adr\/\d{4}-/.test(name);
  const decisions = pages.filter(isDecision);
  expect(decisions.length).toBeGreaterThan(8);
  const parts = [
    /^# \d+\. \S/,
    /^- \*\*Status:\*\* (accepted|replaced|withdrawn)/m,
    /^- \*\*Date:\*\* \d{4}-\d{2}-\d{2}$/m,
    /^- \*\*Concerns:\*\* \S/m,
  ];
  const lacking = decisions.flatMap(({ name, text }) =>
    parts.filter((part) => !part.test(text)).map((part) => `${name}: ${part.source}`),
  );
  expect(lacking).toEqual([]);
  const sectionsOf = (text: string) => [...text.matchAll(/^## (.*)$/gm)].map(([, part]) => part);
  const others = decisions
    .map(({ name, text }) => `${name}: ${sectionsOf(text).join(', ')}`)
    .filter((line) => !/: Context, Decision, Consequences(, Alternatives)?$/.test(line));
  expect(others).toEqual([]);
  const index = pages.find(({ name }) => name === 'docs/adr/README.md')?.text ?? '';
  const files = pages.filter(isDecision).map(({ name }) => name.replace('docs/adr/', ''));
  expect(files.filter((file) => !index.includes(`](${file})`))).toEqual([]);
});

test('the first conversation shows each member of a user', () => {
  const readme = pages.find(({ name }) => name === 'README.md')?.text ?? '';
  const [, user = ''] = /^\{"user":(\{[\s\S]*?\}),\n "access_token"/m.exec(readme) ?? [];
  expect(Object.keys(JSON.parse(user))).toEqual(Object.keys(userView.shape));
});

test('the badges agree with the files of the project, and come from here', () => {
  const svg = readFileSync(join(ROOT, 'docs/pictures/badges.svg'), 'utf8');
  const { engines, license } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const openApi = readFileSync(join(ROOT, 'src/platform/http/openapi/document.ts'), 'utf8');
  const version = /openapi: '([\d.]+)'/.exec(openApi)?.[1];
  expect(svg).toContain(
    `Node.js ${engines.node.replace('>=', '≥ ')}, OpenAPI ${version}, licence ${license}`,
  );
  const images = namesIn(/!\[[^\]]*\]\(([^)]+)\)/g).filter(({ name }) => /^https?:/.test(name));
  expect(images.map(show)).toEqual([]);
});

test('the table of planted misconfigurations is that of the tests', () => {
  const tests = sources.filter(({ name }) => /^tests\/app\/cli\/doctor(-live)?\.test/.test(name));
  expect(tests).toHaveLength(2);
  const text = tests.map((one) => one.text).join('\n');
  const names = [
    ...text.matchAll(/(?:\btest(?:\.skip\))?\(|\[)\s*'([^'%]+)',\s*(?:async|\{)/g),
  ].map(([, name]) => name);
  const NOT_PLANTED =
    /^(as it should be|\.env\.example|the ecosystem file|hosts with the same|a change of|shipped NGINX|a configuration that|for people|an invalid command|an edge that closes)/;
  const operate = pages.find(({ name }) => name === 'docs/operate.md')?.text ?? '';
  const table = /\| planted \| found \|\n.*\n((?:\|.*\n)+)/.exec(operate)?.[1] ?? '';
  const rows = table.trim().split('\n');
  const cells = rows.map((row) => row.split('|').map((cell) => cell.trim()));
  expect(cells.map(([, planted]) => planted).sort()).toEqual(
    names.filter((name) => !NOT_PLANTED.test(name ?? '')).sort(),
  );
  const checks = cells.flatMap(([, , found = '']) => [...found.matchAll(/`([a-z0-9-]+)`/g)]);
  expect(checks.length).toBeGreaterThan(rows.length - 1);
  expect(
    checks.filter(([, check]) => !text.includes(`'${check}'`)).map(([, check]) => check),
  ).toEqual([]);
});

test('the list of slow tests names files, each once', () => {
  const missing = SLOW_TESTS.filter((name) => !existsSync(join(ROOT, `tests/${name}.test.ts`)));
  expect(missing).toEqual([]);
  expect(SLOW_TESTS.filter((name, i) => SLOW_TESTS.indexOf(name) !== i)).toEqual([]);
});
