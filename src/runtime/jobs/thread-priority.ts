import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Lowers the priority of the calling thread. Only Linux has one per thread. */
export function lowerThreadPriority(niceness: number): void {
  if (process.platform !== 'linux' || niceness === 0) return;
  try {
    const id = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (id > 0) setPriority(id, niceness);
  } catch {
    // No /proc, or a sandbox forbids the change: the thread keeps the normal priority.
  }
}
