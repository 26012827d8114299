import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';

/** Where the embedded database keeps things. The same data folder gives the same layout in every process of this host. */
export interface Layout {
  readonly dataDir: string;
  /** Short private folder of sockets; may be emptied at any start. */
  readonly runDir: string;
  readonly socketPath: string;
  readonly uri: string;
  readonly ownerFile: string;
}

export const PACKAGE_NAME = 'clustered-auth-api';

/** sockaddr_un holds 104 bytes on macOS, 108 on Linux, with the final NUL. */
const SOCKET_PATH_MAX_BYTES = 103;
/** The engine makes its own socket in a folder below ours before we move it to its fixed place. */
const ENGINE_SOCKET_TAIL = '/embedded-mongodb-XXXXXX/mongodb.sock';
const DATABASE_NAME = 'auth';
/**
 * Not `majority`, which is the same on a single server: the engine acknowledges {w: 'majority', j: true} before the
 * journal is written (kill -9 lost about 1 % of such writes, none with {w: 1, j: true}).
 */
const URI_OPTIONS = 'directConnection=true&w=1&journal=true';

/** Pure but for resolving links, so that `./data` and its real path are one data folder. */
export function layoutOf(dataDir: string): Layout {
  const real = realPath(path.resolve(dataDir));
  const beside = path.join(real, 'run');
  const fits = (folder: string) => Buffer.byteLength(folder + ENGINE_SOCKET_TAIL) <= SOCKET_PATH_MAX_BYTES;
  const digest = createHash('sha256').update(real).digest('hex').slice(0, 12);
  const short = `cae-${userInfo().uid}-${digest}`;
  const runDir = [beside, path.join(tmpdir(), short)].find(fits) ?? path.join('/tmp', short);
  const socketPath = path.join(runDir, 'mongodb.sock');
  const uri = `mongodb://${encodeURIComponent(socketPath)}/${DATABASE_NAME}?${URI_OPTIONS}`;
  return { dataDir: real, runDir, socketPath, uri, ownerFile: path.join(real, 'mongodb.owner.json') };
}

/** The URI at which the embedded database of a data folder is served, whether or not it runs now. */
export function embeddedUri(dataDir: string): string {
  return layoutOf(dataDir).uri;
}

/** The folder may not exist yet, though its parents (and links among them) may. */
function realPath(absolute: string): string {
  try {
    return realpathSync(absolute);
  } catch {
    const parent = path.dirname(absolute);
    return parent === absolute ? absolute : path.join(realPath(parent), path.basename(absolute));
  }
}

/** Makes the folders. Refuses a run folder that is not ours alone: its path can be guessed when it lies in /tmp. */
export function prepareFolders(layout: Layout): void {
  mkdirSync(layout.dataDir, { recursive: true });
  mkdirSync(layout.runDir, { recursive: true, mode: 0o700 });
  const found = lstatSync(layout.runDir);
  if (!found.isDirectory() || found.uid !== userInfo().uid) {
    throw new Error(`${layout.runDir} belongs to someone else: remove it, or choose a shorter DATA_DIR`);
  }
  chmodSync(layout.runDir, 0o700);
}
