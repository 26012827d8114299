import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  type Arrow,
  floorOf,
  pointsUp,
  SPECIFIER,
  scanSources,
  wingOf,
} from '../dev/layout/imports';

const ROOT = resolve(__dirname, '../..');
const { files, arrows, read, readCode } = scanSources(ROOT);

/**
 * Wings of one floor know nothing of each other, except by what the composition root hands them.
 */
const NEIGHBOURS = ['runtime', 'modules'] as const;

const show = ({ from, to }: Arrow) => `${from} -> ${to}`;

test('every file stands on a floor', () => {
  expect(files.filter((file) => floorOf(file) < 0)).toEqual([]);
  expect(files.length).toBeGreaterThan(100);
  expect(arrows.length).toBeGreaterThan(500);
});

test('imports point down, types included', () => {
  const inside = arrows.filter(({ to }) => !to.startsWith('..'));
  expect(inside.filter(pointsUp).map(show)).toEqual([]);
  const across = inside.filter(
    ({ from, to }) => wingOf(from) !== wingOf(to) && NEIGHBOURS.includes(wingOf(to) as 'runtime'),
  );
  expect(
    across.filter(({ from }) => NEIGHBOURS.includes(wingOf(from) as 'runtime')).map(show),
  ).toEqual([]);
});

test('a module shows itself through its index to the app alone, and imports no other module', () => {
  const moduleOf = (file: string) => /^modules\/([^/]+)\//.exec(file)?.[1];
  const entering = arrows.filter(
    ({ from, to }) => moduleOf(to) !== undefined && moduleOf(to) !== moduleOf(from),
  );
  expect(entering.length).toBeGreaterThan(5);
  expect(
    entering
      .filter(({ from, to }) => {
        const isByApp = ['app', 'main'].includes(wingOf(from));
        return !isByApp || to !== `modules/${moduleOf(to)}/index.ts`;
      })
      .map(show),
  ).toEqual([]);
});

test('routes emit no domain event: services do, so that commands leave the same rows', () => {
  const routing = files.filter(
    (file) => file.startsWith('modules/') && /\broute\(/.test(readCode(file)),
  );
  expect(routing.length).toBeGreaterThan(15);
  expect(routing.filter((file) => /\bemit\b|\bEmitEvent\b/.test(readCode(file)))).toEqual([]);
  // A file of routes has that name, so that a newcomer finds it.
  expect(routing.filter((file) => !/(^|[/-])routes\.ts$/.test(file))).toEqual([]);
});

test('the embedded database is loaded by one file, and is no part of the image', () => {
  const outside = arrows.filter(({ to }) => to.startsWith('..'));
  expect([...new Set(outside.map(({ from }) => from))]).toEqual(['app/development-database.ts']);
  expect(readCode('app/development-database.ts')).not.toMatch(/^import (?!type)[^']*'[^']*dev\//m);
});

test('the environment is read in one file, and only the entry ends the process', () => {
  expect(
    files.filter(
      (file) => /process\.env\b/.test(readCode(file)) && file !== 'kernel/config/config.ts',
    ),
  ).toEqual([]);
  expect(
    files.filter((file) => /process\.exit\(/.test(readCode(file)) && file !== 'main.ts'),
  ).toEqual([]);
});

test('no signal that the garbage collector takes away (src/kernel/time-limit.ts)', () => {
  const packages = join(ROOT, 'packages');
  const sources = readdirSync(packages, { recursive: true, encoding: 'utf8' })
    .filter((file) => /^[^/]+\/src\/.*\.ts$/.test(file))
    .map((file) => ({ file, text: readFileSync(join(packages, file), 'utf8') }));
  expect(sources.length).toBeGreaterThan(10);
  const all = [...sources, ...files.map((file) => ({ file, text: readCode(file) }))];
  const combines = /(?<!`)AbortSignal\.any\(/;
  expect(all.filter(({ text }) => combines.test(text)).map(({ file }) => file)).toEqual([]);
});

test('the types of the driver come from mongoose, which brings it', () => {
  expect(files.filter((file) => /from 'mongodb['/]/.test(readCode(file)))).toEqual([]);
});

test('no type holes', () => {
  expect(
    files.filter(
      (file) =>
        /\bas any\b|: any\b/.test(readCode(file)) ||
        /@ts-(ignore|nocheck|expect-error)/.test(read(file)),
    ),
  ).toEqual([]);
});

test('Express is augmented once: the one contract of a request', () => {
  expect(files.filter((file) => /\bdeclare (global|module)\b/.test(readCode(file)))).toEqual([
    'platform/http/context.ts',
  ]);
});

/** Lines of code with a word of a module's own, each with its reason. */
const SPEAKS_OF_MODULES = [
  // Calls of packages/client, which the documentation page shows for operations by their ids.
  /docs\/samples\.ts: .*client\.users\.list/,
  // The name of responses in the published OpenAPI document: clients have types by it.
  /openapi\/problem-groups\.ts: \['Role', /,
  // The one schema of problems lists the members of all modules.
  /problem-schema\.ts: (roles_max|.*`role`)/,
  // An error of MongoDB's driver.
  /to-problem\.ts: 'MongoExpiredSessionError'/,
];

test('HTTP knows neither sessions, roles nor DPoP: their module hands in its additions', () => {
  const lines = files
    .filter((file) => /^platform\/(http|rate-limits|shedding)\//.test(file))
    .flatMap((file) =>
      readCode(file)
        .split('\n')
        .map((line) => `${file.replace(/^platform\/(http\/)?/, '')}: ${line.trim()}`),
    )
    .filter((line) => /session|role|dpop/i.test(line));
  expect(lines.filter((line) => !SPEAKS_OF_MODULES.some((known) => known.test(line)))).toEqual([]);
  expect(SPEAKS_OF_MODULES.filter((known) => !lines.some((line) => known.test(line)))).toEqual([]);
});

/** `require('x')`, `require.resolve(…)`, `createRequire`, and `import()` of what is no literal. */
const LATE = /\brequire\s*[(.]|\bcreateRequire\b|\bimport\s*\(\s*(?!')/;

test('a package is required late only where loading it is dear, and never by a computed name', () => {
  expect(files.filter((file) => LATE.test(readCode(file)))).toEqual([
    'app/development-database.ts',
    'app/doctor/pm2.ts',
    'kernel/config/mongo-uri.ts',
    'modules/auth/passwords/formats/argon2-binding.ts',
    'platform/mail/mailer.ts',
  ]);
  expect(files.filter((file) => /\brequire\s*\(\s*(?!')/.test(readCode(file)))).toEqual([]);
  expect('const a = require("./a")').toMatch(LATE);
  expect([..."require('../a'); import b = require('./b')".matchAll(SPECIFIER)].length).toBe(2);
});

test('files are short', () => {
  const lines = files
    .map((file) => ({ file, lines: read(file).split('\n').length }))
    .sort((a, b) => b.lines - a.lines);
  expect(lines.filter((one) => one.lines > 300)).toEqual([]);
  expect(lines[Math.floor(lines.length / 10)]?.lines).toBeLessThanOrEqual(180);
});

test('the black-box tests know nothing of the source', () => {
  const folder = join(ROOT, 'tests/blackbox');
  for (const name of readdirSync(folder))
    expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/\/src\//);
});
