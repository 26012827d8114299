import { accessSync, constants, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { ToolEnvironment } from '../../src/kernel/config/config';
import { withTimeout } from '../../src/kernel/lifecycle';

const DOWNLOAD_TIMEOUT_MS = 300_000;

/**
 * Finds a mongod: MONGOMS_SYSTEM_BINARY, on the PATH, or in a download folder of
 * mongodb-memory-server.
 */
export function findMongod(environment: ToolEnvironment): string | undefined {
  const { mongodBinary, path: searchPath, mongodFolders } = environment;
  if (mongodBinary !== undefined) {
    if (isExecutable(mongodBinary)) return mongodBinary;
    throw new Error(`MONGOMS_SYSTEM_BINARY names ${mongodBinary}, which is not an executable file`);
  }
  const onPath = searchPath.map((folder) => path.join(folder, 'mongod')).find(isExecutable);
  return onPath ?? mongodFolders.flatMap(downloads).find(isExecutable);
}

/** Sorted by the version in the name, newest first. */
function downloads(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => /^mongod-[^.]+-\d[\d.]*$/.test(name));
    return names
      .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
      .map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * mongodb-memory-server's own download; it reads the MONGOMS_* variables and shows its progress.
 */
export async function downloadMongod(progress: (line: string) => void): Promise<string> {
  const load = createRequire(__filename);
  const { MongoBinary } = load(
    'mongodb-memory-server-core',
  ) as typeof import('mongodb-memory-server-core');
  progress('Downloading a mongod (about 100 MB, once) with mongodb-memory-server');
  return withTimeout(MongoBinary.getPath(), DOWNLOAD_TIMEOUT_MS, 'the download of mongod');
}
