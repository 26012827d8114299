import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import { TestEnvironment } from 'jest-environment-node';
import { type StartedProcesses, watchStarted } from './started-processes';

/** For guards that clean up when their standard input ends. */
const GRACE_MS = 500;

/**
 * Jest's Node environment that also owns every process that a test file starts: it reports and
 * kills processes that remain after the file's hooks, with their descendants, so that no test run
 * hangs.
 */
class OwningEnvironment extends TestEnvironment {
  readonly #file: string;
  #started: StartedProcesses | undefined;

  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    this.#file = context.testPath;
  }

  override async setup(): Promise<void> {
    await super.setup();
    this.#started = watchStarted();
  }

  override async teardown(): Promise<void> {
    this.#started?.close();
    if (this.#started !== undefined) await this.#endLeftBehind(this.#started);
    await super.teardown();
  }

  async #endLeftBehind({ left, kill }: StartedProcesses): Promise<void> {
    for (const child of left()) child.stdin?.end();
    const deadline = performance.now() + GRACE_MS;
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
    kill();
  }
}

export default OwningEnvironment;
