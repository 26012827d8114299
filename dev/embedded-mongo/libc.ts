import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../src/kernel/make-folder';
import { fetchLibc } from './apt';
import { claimFile } from './claim';
import { hasCode } from './system';

/** The glibc version that the engine's native library requires. */
const NEEDED: readonly [number, number] = [2, 38];
const FETCH_TIMEOUT_MS = 120_000;

/** glibc of this process, e.g. `2.36`; undefined on macOS and musl. Takes about 5 ms. */
export function glibcVersion(): string | undefined {
  const { report } = process;
  if (process.platform !== 'linux' || report === undefined) return undefined;
  // Otherwise the report resolves the host names of all open sockets, which can take seconds. Not
  // in Node 20's types.
  const reporter = report as typeof report & { excludeNetwork?: boolean };
  const before = reporter.excludeNetwork;
  reporter.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  if (before !== undefined) reporter.excludeNetwork = before;
  return header?.glibcVersionRuntime;
}

export function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1]);
}

const LOADERS: Readonly<Partial<Record<NodeJS.Architecture, { file: string; triplet: string }>>> = {
  x64: { file: 'ld-linux-x86-64.so.2', triplet: 'x86_64-linux-gnu' },
  arm64: { file: 'ld-linux-aarch64.so.1', triplet: 'aarch64-linux-gnu' },
};

/**
 * The command prefix that runs `node` with the C library in `cacheDir`. Downloads the library first
 * if it is missing.
 */
export async function newerLibcCommand(
  cacheDir: string,
  progress: (line: string) => void,
): Promise<readonly string[]> {
  const loader = LOADERS[process.arch];
  if (loader === undefined)
    throw new Error(`there is no newer C library for ${process.arch} to fetch`);
  const folder = path.join(cacheDir, `glibc-${process.arch}`);
  if (!existsSync(path.join(folder, loader.file)))
    await fetchOnce(folder, loader.triplet, progress);
  const libraries = [
    folder,
    `/lib/${loader.triplet}`,
    `/usr/lib/${loader.triplet}`,
    '/lib64',
    '/usr/lib64',
  ].join(':');
  return [path.join(folder, loader.file), '--library-path', libraries];
}

/**
 * Services that start at the same time download it once: one holds the lock, the others wait.
 */
async function fetchOnce(
  folder: string,
  triplet: string,
  progress: (line: string) => void,
): Promise<void> {
  makeFolder(path.dirname(folder));
  const deadline = performance.now() + FETCH_TIMEOUT_MS;
  while (!existsSync(folder)) {
    const claim = claimFile(`${folder}.lock`);
    if (claim.held) {
      try {
        if (!existsSync(folder)) await fetchInto(folder, triplet, progress);
      } finally {
        claim.release();
      }
    } else if (performance.now() > deadline) {
      throw new Error(`process ${claim.pid} is fetching the C library and does not end`);
    } else {
      await sleep(50);
    }
  }
}

async function fetchInto(
  folder: string,
  triplet: string,
  progress: (line: string) => void,
): Promise<void> {
  const started = performance.now();
  progress(
    `The database engine needs glibc ${NEEDED.join('.')} or newer and this system has ${glibcVersion()}: fetching one with apt into ${folder} (about 13 MB, once; the system is not changed)`,
  );
  const work = mkdtempSync(`${folder}.new-`);
  try {
    const libraries = await fetchLibc(work, triplet, FETCH_TIMEOUT_MS);
    renameSync(libraries, folder);
    progress(`Fetched it in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  } catch (error) {
    // Both processes replaced a dead holder of the lock: the results are equal.
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
