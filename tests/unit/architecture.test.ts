import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../../..');
const SRC = join(ROOT, 'src');

const files = (readdirSync(SRC, { recursive: true }) as string[])
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replaceAll('\\', '/'));
const read = (file: string) => readFileSync(join(SRC, file), 'utf8');
const readCode = (file: string) => read(file).replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');

/** The arrows of the design, top to bottom: a part may import those below it, never one above. */
const LAYERS = [
  ['index'],
  ['cli'],
  ['worker', 'service', 'prepare'],
  ['cluster', 'embedded'],
  ['auth'],
  ['users'],
  ['http'],
  ['cache'],
  ['data'],
  ['observability'],
  ['lifecycle', 'errors', 'config', 'settings'],
] as const;

function layerOf(file: string): number {
  const path = file.replace(/\.ts$/, '');
  const exact = LAYERS.findIndex((layer) => (layer as readonly string[]).includes(path));
  return exact >= 0 ? exact : LAYERS.findIndex((layer) => (layer as readonly string[]).includes(path.split('/')[0] ?? ''));
}

const importsOf = (file: string): { target: string; typeOnly: boolean }[] =>
  [...read(file).matchAll(/(?:^|\n)\s*(?:import|export)\s+(type\s+)?[^'";]*?from\s+'(\.[^']+)'/g)].map(([, type, path = '']) => ({
    target: relative(SRC, resolve(SRC, dirname(file), path)).replaceAll('\\', '/'),
    typeOnly: type !== undefined,
  }));

test('every file has its place in the layers', () => {
  expect(files.filter((file) => layerOf(file) < 0)).toEqual([]);
  expect(files.length).toBeGreaterThan(30);
});

test('imports point one way', () => {
  const upward = files.flatMap((file) =>
    importsOf(file)
      .filter(({ target, typeOnly }) => {
        const [from, to] = [layerOf(file), layerOf(`${target}.ts`)];
        // Below the features, types may be named upwards (a logger's type in lifecycle); values may not.
        return to < from && !(typeOnly && to >= LAYERS.length - 2);
      })
      .map(({ target }) => `${file} -> ${target}`),
  );
  expect(upward).toEqual([]);
});

test('the embedded database is imported by the entry, the command line and itself alone', () => {
  const importers = files.filter(
    (file) => !file.startsWith('embedded/') && importsOf(file).some(({ target }) => target.startsWith('embedded')),
  );
  expect(importers.filter((file) => !/^cli\//.test(file) && file !== 'index.ts')).toEqual([]);
});

test('the environment is read in one file, and only the entry ends the process', () => {
  expect(files.filter((file) => /process\.env\b/.test(readCode(file)) && file !== 'config.ts')).toEqual([]);
  expect(files.filter((file) => /process\.exit\(/.test(readCode(file)) && file !== 'index.ts')).toEqual([]);
});

test('no type holes', () => {
  expect(files.filter((file) => /\bas any\b|: any\b/.test(readCode(file)) || /@ts-(ignore|nocheck|expect-error)/.test(read(file)))).toEqual(
    [],
  );
});

test('files are short', () => {
  const lines = files.map((file) => ({ file, lines: read(file).split('\n').length })).sort((a, b) => b.lines - a.lines);
  expect(lines.filter((one) => one.lines > 300)).toEqual([]);
  expect(lines[Math.floor(lines.length / 10)]?.lines).toBeLessThanOrEqual(170);
});

test('the black-box tests know nothing of the source', () => {
  const folder = join(ROOT, 'tests/blackbox');
  for (const name of readdirSync(folder)) expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/\/src\//);
});
