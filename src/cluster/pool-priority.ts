import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';
import { promisify } from 'node:util';

const TASKS = '/proc/self/task';

/**
 * Makes libuv's threads `niceness` (0 to 19) nicer than the event loop, so that a request that hashes nothing does not wait for
 * those that do. Linux has a niceness for each thread; elsewhere nothing is done. Call it before anything else uses the pool: its threads are
 * those that its first use brings. Resolves with how many they were.
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
    // No /proc, or a sandbox that forbids it: hashing is then as urgent as all else.
    return 0;
  }
}
