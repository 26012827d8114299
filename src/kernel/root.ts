import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The folder of package.json: this file is one folder deep in a bundle, and deeper in its source.
 */
function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('no package.json above the code of the service');
  return findRoot(parent);
}

export const PROJECT_ROOT = findRoot(__dirname);

/** A file of the build, by its path in `dist`. */
export const builtFile = (path: string): string => join(PROJECT_ROOT, 'dist', path);
