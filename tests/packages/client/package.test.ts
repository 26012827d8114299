import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { root } from '../../support/service';

const folder = join(root, 'packages', 'client');

test('the client takes at most 8 KB of a bundle', () => {
  // Not in this process: Jest's module registry cannot load rolldown's native code twice.
  const program = `
    const { rolldown } = await import('rolldown');
    const build = await rolldown({ input: process.argv[1], platform: 'browser' });
    const { output } = await build.generate({ format: 'esm', minify: true });
    process.stdout.write(output[0].code);`;
  const code = execFileSync(
    process.execPath,
    ['--input-type=module', '-e', program, join(folder, 'dist/esm/index.js')],
    { cwd: root },
  );
  expect(code.includes('refresh_token')).toBe(true);
  expect(gzipSync(code).length).toBeLessThanOrEqual(8192);
  // Nothing of Node, and nothing of another package.
  expect(code.toString()).not.toMatch(/\b(require\(|from ?["'])/);
});

test.each([
  ['import', "import * as client from '@clustered-auth/client';"],
  ['require', "const client = require('@clustered-auth/client');"],
])('its names can be had by %s', (kind, line) => {
  const type = kind === 'import' ? 'module' : 'commonjs';
  const program = `${line} process.stdout.write(Object.keys(client).filter((name) => name !== 'default').sort().join());`;
  // A package finds itself by its own name.
  const names = execFileSync(process.execPath, [`--input-type=${type}`, '-e', program], {
    cwd: folder,
  });
  expect(String(names)).toBe('ClientError,ProblemError,createClient,isProblem');
});

test('the published package is small, and has no sources', () => {
  const [packed] = JSON.parse(
    String(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: folder, stdio: 'pipe' })),
  ) as [{ size: number; files: { path: string }[] }];
  expect(packed.size).toBeLessThan(65_536);
  expect(
    packed.files.filter(({ path }) => !/^(dist\/|LICENSE$|README\.md|package\.json)/.test(path)),
  ).toEqual([]);
});
