import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { makeFolder } from '../../src/kernel/make-folder';

/**
 * The paths of the embedded database. They are the same in every process of this host for the same
 * data folder.
 */
export interface Layout {
  readonly dataDir: string;
  /** Private folder of sockets with a short path; each start may empty it. */
  readonly runDir: string;
  readonly socketPath: string;
  readonly uri: string;
  readonly ownerFile: string;
}

export const PACKAGE_NAME = 'clustered-auth-api';

/** sockaddr_un holds 104 bytes on macOS, 108 on Linux, with the final NUL. */
const SOCKET_PATH_MAX_BYTES = 103;
/** The engine creates its socket in a subfolder; it is then moved to the fixed path. */
const ENGINE_SOCKET_TAIL = '/embedded-mongodb-XXXXXX/mongodb.sock';
const DATABASE_NAME = 'auth';
/**
 * Not `majority`, which is the same on a single server: the engine acknowledges {w: 'majority', j:
 * true} before the journal is written (kill -9 lost about 1 % of such writes, none with {w: 1, j:
 * true}).
 */
const URI_OPTIONS = 'directConnection=true&w=1&journal=true';

/** Not os.userInfo(), which throws for a user id without an entry in the user database. */
const ownUid = (): number => process.getuid?.() ?? 0;

/** Resolves links, so that `./data` and its real path give the same layout. No other I/O. */
export function layoutOf(dataDir: string): Layout {
  const real = realPath(path.resolve(dataDir));
  const beside = path.join(real, 'run');
  const fits = (folder: string) =>
    Buffer.byteLength(folder + ENGINE_SOCKET_TAIL) <= SOCKET_PATH_MAX_BYTES;
  const digest = createHash('sha256').update(real).digest('hex').slice(0, 12);
  const short = `cae-${ownUid()}-${digest}`;
  const runDir = [beside, path.join(tmpdir(), short)].find(fits) ?? path.join('/tmp', short);
  const socketPath = path.join(runDir, 'mongodb.sock');
  const uri = `mongodb://${encodeURIComponent(socketPath)}/${DATABASE_NAME}?${URI_OPTIONS}`;
  return {
    dataDir: real,
    runDir,
    socketPath,
    uri,
    ownerFile: path.join(real, 'mongodb.owner.json'),
  };
}

/**
 * The URI at which the embedded database of a data folder is served, whether or not it runs now.
 */
export function embeddedUri(dataDir: string): string {
  return layoutOf(dataDir).uri;
}

/** Resolves the links of the existing parents: the folder itself may not exist yet. */
function realPath(absolute: string): string {
  try {
    return realpathSync(absolute);
  } catch {
    const parent = path.dirname(absolute);
    return parent === absolute ? absolute : path.join(realPath(parent), path.basename(absolute));
  }
}

/**
 * Creates the folders. Throws when other users can access the run folder: its path in /tmp is
 * predictable.
 */
export function prepareFolders(layout: Layout): void {
  makeFolder(layout.dataDir);
  makeFolder(layout.runDir, 0o700);
  const found = lstatSync(layout.runDir);
  if (!found.isDirectory() || found.uid !== ownUid()) {
    throw new Error(
      `${layout.runDir} belongs to someone else: remove it, or choose a shorter DATA_DIR`,
    );
  }
  chmodSync(layout.runDir, 0o700);
}
