import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '../config';
import type { Closable } from '../lifecycle';

/** Refuses a folder that somebody else has put there. */
function openPrivate(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(path);
  const { uid } = userInfo();
  if (!stat.isDirectory() || (uid >= 0 && stat.uid !== uid) || (stat.mode & 0o077) !== 0) {
    throw new Error(`${path} must be a folder that this user owns and nobody else may enter (mode 700); see RUNTIME_DIR`);
  }
  return path;
}

/**
 * The folder of the private sockets (metrics, control), made if need be, readable by this user alone. Its name follows
 * from user and address, so that the workers of one service find each other without a primary of ours (PM2), and so
 * that the command line finds the primary. Names are short: the whole path of a socket may have 103 bytes on macOS.
 */
export function openRuntimeDir({ server, cluster }: Pick<Config, 'server' | 'cluster'>): string {
  const { username } = userInfo();
  const address = `${server.host.replaceAll(/[^\w.]/g, '_')}-${server.port}`;
  return openPrivate(cluster.runtimeDir === undefined ? join(tmpdir(), `auth-api-${username}-${address}`) : resolve(cluster.runtimeDir));
}

/** The folder of one primary's workers within it: what an earlier primary may have left there is not counted. */
export function openWorkersDir(runtimeDir: string): Closable & { readonly path: string } {
  const path = openPrivate(join(runtimeDir, `p${process.pid}`));
  return {
    path,
    async close() {
      rmSync(path, { recursive: true, force: true });
    },
  };
}
