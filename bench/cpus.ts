import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * Which cores each part of a run may use. On fewer than four cores parts have to share, and the
 * results say so.
 */
export interface CpuPlan {
  readonly server: readonly number[];
  readonly load: readonly number[];
  readonly stores: readonly number[];
  readonly shared: boolean;
}

/** The cores that this process may run on (Linux), else 0..n-1. */
export function allowedCpus(): readonly number[] {
  try {
    const line =
      /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    return line.split(',').flatMap((range) => {
      const [first = 0, last = first] = range.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
  } catch {
    return Array.from({ length: availableParallelism() }, (_, i) => i);
  }
}

/**
 * The server never shares a core when there are two or more. The stores get a core of their own
 * only when that leaves two for the load, since one Node load generator about equals one bare
 * server.
 */
export function planCpus(serverCores: number, cpus: readonly number[] = allowedCpus()): CpuPlan {
  const count = Math.max(1, Math.min(serverCores, cpus.length - 1));
  const server = cpus.slice(0, count);
  const rest = cpus.length > count ? cpus.slice(count) : cpus;
  if (rest.length >= 3)
    return { server, stores: rest.slice(0, 1), load: rest.slice(1, 3), shared: false };
  return { server, stores: rest, load: rest, shared: rest.length < 2 || cpus.length <= count };
}

export const canPin =
  process.platform === 'linux' && spawnSync('taskset', ['--version']).status === 0;

/**
 * The command line that keeps a program on the given cores, where the system has a tool for that.
 */
export function onCpus(
  cpus: readonly number[],
  command: string,
  args: readonly string[],
): { command: string; args: readonly string[] } {
  return canPin
    ? { command: 'taskset', args: ['-c', cpus.join(','), command, ...args] }
    : { command, args };
}

/** Moves a running program, with all its threads, to the given cores. */
export function moveToCpus(cpus: readonly number[], pid: number): void {
  if (canPin) spawnSync('taskset', ['-a', '-c', '-p', cpus.join(','), String(pid)]);
}
