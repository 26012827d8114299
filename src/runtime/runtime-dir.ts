import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Config, ConfigError } from '../kernel/config/config';
import { faultOfFolder, fitsSockets, isPrivateFolder } from '../kernel/config/folders';
import type { Closable } from '../kernel/lifecycle';
import { makeFolder } from '../kernel/make-folder';
import { isAlive } from './alive';
import { isAnswered } from './listening';

/**
 * Not os.userInfo(): it throws when the user id has no entry in the user database, as in some
 * containers. Windows has no user ids.
 */
const ownUid = (): number => process.getuid?.() ?? 0;

/** Throws when the folder belongs to another user. */
function openPrivate(path: string): string {
  makeFolder(path, 0o700);
  if (isPrivateFolder(path)) return path;
  const message = `must be a folder of this user's own that nobody else may enter (chmod 700): it is ${JSON.stringify(path)}`;
  throw new ConfigError([{ env: 'RUNTIME_DIR', message }]);
}

/** A folder that others may enter, as a mounted volume, gets one inside. */
function privateIn(path: string): string {
  const isShared = existsSync(path) && !isPrivateFolder(path);
  return isShared ? join(path, `auth-api-${ownUid()}`) : path;
}

/** The fault of the setting RUNTIME_DIR. */
export function faultOfRuntimeDir(value: string): string | undefined {
  const path = privateIn(resolve(value));
  const fault = faultOfFolder(path);
  if (fault !== undefined || fitsSockets(path)) return fault;
  return `is too long for the paths of its sockets: it is ${JSON.stringify(value)}`;
}

/**
 * Creates, if missing, the folder of the private sockets (metrics, control), which only this user
 * can access. Its name is derived from user and address, so that the workers of one service find
 * each other under PM2, and the command line finds the primary. Names are short: the path of a
 * socket is limited to 103 bytes on macOS.
 */
export function openRuntimeDir({ server, cluster }: Pick<Config, 'server' | 'cluster'>): string {
  if (cluster.runtimeDir !== undefined) return openPrivate(privateIn(resolve(cluster.runtimeDir)));
  const name = `auth-api-${ownUid()}-${server.host.replaceAll(/[^\w.]/g, '_')}-${server.port}`;
  const short = `auth-api-${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
  return openPrivate(
    [join(tmpdir(), name), join(tmpdir(), short)].find(fitsSockets) ?? join('/tmp', short),
  );
}

/**
 * Removes the subfolders of primaries that were killed. Workers that still drain, or are those of
 * another container, answer on their sockets. `own`: the folder that was made now; its time is that
 * of the file system.
 */
export async function removeLeftFolders(runtimeDir: string, own: string): Promise<void> {
  const { mtimeMs: nowMs } = statSync(own);
  for (const name of readdirSync(runtimeDir)) {
    const [, pid] = /^p(\d+)$/.exec(name) ?? [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    // Another primary may remove it at the same time, and it may be no folder.
    await removeUnanswered(join(runtimeDir, name), nowMs - YOUNG_MS).catch(() => undefined);
  }
}

/** One of another container has a pid that is unknown here, and its workers take time to start. */
const YOUNG_MS = 300_000;

async function removeUnanswered(folder: string, beforeMs: number): Promise<void> {
  if (statSync(folder).mtimeMs > beforeMs) return;
  const sockets = readdirSync(folder).filter((file) => file.endsWith('.sock'));
  const answers = await Promise.all(sockets.map((file) => isAnswered(join(folder, file))));
  if (!answers.includes(true)) rmSync(folder, { recursive: true, force: true });
}

/**
 * The subfolder of one primary's workers. Files left by an earlier primary are not counted.
 */
export function openWorkersDir(runtimeDir: string): Closable & { readonly path: string } {
  const path = openPrivate(join(runtimeDir, `p${process.pid}`));
  return {
    path,
    async close() {
      rmSync(path, { recursive: true, force: true });
    },
  };
}
