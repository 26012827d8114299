import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { promisify } from 'node:util';

const TASKS = '/proc/self/task';

/**
 * Lowers the priority of libuv's threads by `niceness` (0 to 19), so that password hashing does not
 * delay other requests. Only Linux has a priority per thread; elsewhere this does nothing. Call it
 * before anything else uses the thread pool: it identifies the pool's threads as those that its
 * first use creates. Resolves with their number.
 */
export async function lowerPoolPriority(niceness: number): Promise<number> {
  if (process.platform !== 'linux' || niceness === 0) return 0;
  try {
    const before = new Set(readdirSync(TASKS));
    await promisify(randomBytes)(1);
    const pool = readdirSync(TASKS).filter((id) => !before.has(id));
    for (const id of pool) setPriority(Number(id), niceness);
    return pool.length;
  } catch {
    // No /proc, or a sandbox forbids the change: the threads keep the normal priority.
    return 0;
  }
}
