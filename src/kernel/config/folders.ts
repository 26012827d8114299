import { resolve } from 'node:path';
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
