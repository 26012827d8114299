import { lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { z } from 'zod';
import { checked } from './setting';

/** sockaddr_un holds 104 bytes on macOS, 108 on Linux, with the final NUL. */
const SOCKET_PATH_MAX_BYTES = process.platform === 'linux' ? 107 : 103;
/**
 * The longest path below the folder: the primary's folder, then a worker's number and pid.
 */
const LONGEST_TAIL = '/p4194304/99999-4194304.sock';

export const fitsSockets = (folder: string): boolean =>
  Buffer.byteLength(resolve(folder) + LONGEST_TAIL) <= SOCKET_PATH_MAX_BYTES;

/** A folder whose path leaves room for the names of the sockets in it. */
export const socketFolder = (): z.ZodType<string> =>
  checked((value) => {
    if (value === '') return 'must not be blank';
    if (fitsSockets(value)) return undefined;
    return `is too long for the paths of its sockets: at most ${SOCKET_PATH_MAX_BYTES - LONGEST_TAIL.length} bytes as an absolute path`;
  });

/** Of the host at this moment: another start may succeed. */
const PASSING: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EIO']);

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error);

/** The deepest part of the path that exists, be it a file or a broken link. */
function deepest(path: string): string {
  try {
    lstatSync(path);
    return path;
  } catch (error) {
    const parent = dirname(path);
    if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error)) || parent === path) throw error;
    return deepest(parent);
  }
}

/**
 * The fault of a folder that must exist or be made, and be written; undefined where there is none.
 * Leaves nothing behind: its test file has a name of its own.
 */
export function faultOfFolder(value: string): string | undefined {
  const path = resolve(value);
  const shown = `it is ${JSON.stringify(value)}`;
  let existing = path;
  try {
    existing = deepest(path);
    if (!statSync(existing).isDirectory())
      return `must be a folder, and ${existing} is none: ${shown}`;
    const probe = mkdtempSync(join(existing, '.write-test-'));
    try {
      writeFileSync(join(probe, 'file'), '');
    } finally {
      rmSync(probe, { recursive: true, force: true });
    }
    return undefined;
  } catch (error) {
    if (PASSING.has(codeOf(error))) return undefined;
    const what = existing === path ? 'written' : `made in ${existing}`;
    return `must be a folder that this user can write, and it cannot be ${what} (${codeOf(error)}): ${shown}`;
  }
}

/** Windows has no user ids. */
const isOwn = (uid: number) => process.getuid === undefined || uid === process.getuid();

/** Whether nobody else may enter it: processes there obey every writer to their sockets. */
export function isPrivateFolder(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && isOwn(stat.uid) && (stat.mode & 0o077) === 0;
}
