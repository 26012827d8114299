import { type ChildProcess, execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** The child processes that this process has started, by whichever library. */
export interface StartedProcesses {
  /** Those that still run. */
  left(): readonly ChildProcess[];
  /** Ends them with their descendants, at once. */
  kill(): void;
  /** Ends the watch. */
  close(): void;
}

/** Node publishes every started child process on this diagnostics channel. */
const CHANNEL = 'child_process';

const isAlive = ({ pid, exitCode, signalCode }: ChildProcess) =>
  pid !== undefined && exitCode === null && signalCode === null;

/** Notes every process that is started from now on. */
export function watchStarted(): StartedProcesses {
  const started = new Set<ChildProcess>();
  const note = (message: unknown) => {
    const { process: child } = message as { process: ChildProcess };
    started.add(child);
    child.once('exit', () => started.delete(child));
  };
  subscribe(CHANNEL, note);
  const left = () => [...started].filter(isAlive);
  return {
    left,
    kill: () => {
      for (const pid of familyOf(left().flatMap(({ pid }) => pid ?? []))) kill(pid);
    },
    close: () => void unsubscribe(CHANNEL, note),
  };
}

/** The processes below `roots`, themselves included, deepest last. */
function familyOf(roots: readonly number[]): number[] {
  if (roots.length === 0) return [];
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8', timeout: 5000 });
  const pairs = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  const family = [...roots];
  for (const parent of family)
    family.push(
      ...pairs.flatMap(([pid, ppid]) => (ppid === parent && !family.includes(pid) ? [pid] : [])),
    );
  return family;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has already exited.
  }
}
