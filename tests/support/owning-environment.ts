import { type ChildProcess, execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import { TestEnvironment } from 'jest-environment-node';

/** Node publishes every started child process on this diagnostics channel. */
const CHANNEL = 'child_process';
/** For guards that clean up when their standard input ends. */
const GRACE_MS = 500;

const isAlive = ({ pid, exitCode, signalCode }: ChildProcess) =>
  pid !== undefined && exitCode === null && signalCode === null;

/** The processes below `roots`, themselves included, deepest last. */
function familyOf(roots: readonly number[]): number[] {
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

/**
 * Jest's Node environment that also owns every process that a test file starts: it reports and
 * kills processes that remain after the file's hooks, with their descendants, so that no test run
 * hangs.
 */
class OwningEnvironment extends TestEnvironment {
  readonly #file: string;
  readonly #started = new Set<ChildProcess>();
  readonly #note = (message: unknown) => {
    const { process: child } = message as { process: ChildProcess };
    this.#started.add(child);
    child.once('exit', () => this.#started.delete(child));
  };

  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    this.#file = context.testPath;
  }

  override async setup(): Promise<void> {
    await super.setup();
    subscribe(CHANNEL, this.#note);
  }

  override async teardown(): Promise<void> {
    unsubscribe(CHANNEL, this.#note);
    await this.#endLeftBehind();
    await super.teardown();
  }

  async #endLeftBehind(): Promise<void> {
    for (const child of this.#started) child.stdin?.end();
    const deadline = performance.now() + GRACE_MS;
    const left = () => [...this.#started].filter(isAlive);
    while (left().length > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const roots = left();
    if (roots.length === 0) return;
    const commands = roots.map(
      ({ pid, spawnargs }) => `${pid} ${spawnargs.join(' ').slice(0, 120)}`,
    );
    process.stderr.write(
      `${this.#file} left processes behind, which are ended now:\n  ${commands.join('\n  ')}\n`,
    );
    for (const pid of familyOf(roots.flatMap(({ pid }) => pid ?? []))) kill(pid);
  }
}

export default OwningEnvironment;
