import { lstatSync, mkdirSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import type { Config } from '../config';

/**
 * The folder of the private sockets (metrics, control), made if need be, readable by this user alone. Its name follows
 * from user and port, so that the workers of one service find each other without a primary of ours (PM2), and so that
 * the command line finds the primary. A folder that somebody else has put there is refused.
 */
export function openRuntimeDir({ runtimeDir }: Pick<Config['cluster'], 'runtimeDir'>, port: number): string {
  const { uid, username } = userInfo();
  const path = runtimeDir === undefined ? join(tmpdir(), `clustered-auth-api-${username}-${port}`) : resolve(runtimeDir);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const stat = lstatSync(path);
  if (!stat.isDirectory() || (uid >= 0 && stat.uid !== uid) || (stat.mode & 0o077) !== 0) {
    throw new Error(`${path} must be a folder that this user owns and nobody else may enter (mode 700); see RUNTIME_DIR`);
  }
  return path;
}
