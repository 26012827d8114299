import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

/** Process groups that are killed when this process exits. */
const groups = new Set<number>();
process.on('exit', () => {
  for (const pid of groups) signalGroup(pid, 'SIGKILL');
});

export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  /** The output so far, stdout and stderr combined. */
  output(): string;
  readonly exited: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
  }>;
  /**
   * Sends SIGTERM, and SIGKILL to the process group if it still runs after `graceMs`. Safe to call
   * twice.
   */
  stop(graceMs?: number): Promise<void>;
}

/**
 * Starts a program in its own process group, so that `stop` also reaches its children, and kills
 * the group when this process exits.
 */
export function run(command: readonly string[], options: SpawnOptions = {}): Running {
  const [file, ...args] = command;
  if (file === undefined) throw new RangeError('an empty command');
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
    detached: true,
  });
  const chunks: string[] = [];
  child.stdout?.on('data', (data: Buffer) => chunks.push(data.toString('utf8')));
  child.stderr?.on('data', (data: Buffer) => chunks.push(data.toString('utf8')));
  const { pid } = child;
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('error', (error) => {
      chunks.push(String(error));
      resolve({ code: -1, signal: null });
    });
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
  const killGroup = () => {
    if (pid !== undefined) signalGroup(pid, 'SIGKILL');
  };
  if (pid !== undefined) groups.add(pid);

  return {
    child,
    pid: pid ?? -1,
    output: () => chunks.join(''),
    exited,
    async stop(graceMs = 5000) {
      child.kill('SIGTERM');
      const timer = setTimeout(killGroup, graceMs);
      await exited;
      clearTimeout(timer);
      // Orphaned children of the program.
      killGroup();
      if (pid !== undefined) groups.delete(pid);
    },
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
