import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    codes.includes(String(error.code))
  );
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

/**
 * Start time of a process in kernel ticks, which distinguishes it from a later process with the
 * same pid. '' when the process has exited, or not on Linux.
 */
export function startedAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): field 2 is the name in brackets and may hold spaces, so fields are counted after the
    // last bracket.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

/** Runs a program to its end and gives its stdout. Rejects with the last lines of its stderr. */
export function run(
  program: string,
  args: readonly string[],
  options: { timeoutMs: number; cwd?: string },
): Promise<string> {
  const { timeoutMs, cwd } = options;
  return new Promise((resolve, reject) => {
    const settings = {
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: 16 << 20,
      ...(cwd === undefined ? {} : { cwd }),
    } as const;
    execFile(program, args, settings, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim().split('\n').slice(-3).join(' ');
      reject(
        new Error(`${program} ${args[0] ?? ''} failed: ${said === '' ? error.message : said}`, {
          cause: error,
        }),
      );
    });
  });
}
