import { type ChildProcess, spawn } from 'node:child_process';
import { childEnvironment } from '../../src/kernel/config/config';
import { backoffMs, type Closable } from '../../src/kernel/lifecycle';
import { builtFile } from '../../src/kernel/root';
import type { Logger } from '../../src/platform/telemetry/logger';
import type { HostMessage, HostTask } from './host';

export interface HostCommand {
  /** The command prefix of `node`: empty, or the loader of another C library. */
  readonly prefix: readonly string[];
  readonly task: HostTask;
}

export interface Supervised extends Closable {
  state(): 'up' | 'restarting' | 'failed';
  /** Pid of the process that runs the database; undefined between two processes. */
  pid(): number | undefined;
}

export interface SupervisorOptions {
  readonly command: HostCommand;
  readonly tempDir: string;
  readonly startTimeoutMs: number;
  readonly log: Logger;
  readonly random?: () => number;
}

const RESTARTS_PER_WINDOW = 10;
const WINDOW_MS = 60_000;
const BACKOFF = { baseMs: 50, maxMs: 5000 } as const;
const CLOSE_TIMEOUT_MS = 4000;
const KEPT_OUTPUT_CHARACTERS = 2000;

interface Host {
  readonly child: ChildProcess;
  /** Resolves when the database serves, rejects when the process ends or takes too long. */
  readonly ready: Promise<void>;
  readonly ended: Promise<string>;
}

/**
 * Starts the host process and restarts it when it dies, until `close()` or until the restart budget
 * is spent.
 */
export async function superviseHost(options: SupervisorOptions): Promise<Supervised> {
  const { log, random = Math.random } = options;
  let state: 'up' | 'restarting' | 'failed' = 'up';
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let host = startHost(options);
  const restarts: number[] = [];
  let failuresInARow = 0;

  function watch(current: Host): void {
    void current.ended.then((how) => {
      if (closing) return;
      state = 'restarting';
      const now = performance.now();
      while (restarts[0] !== undefined && restarts[0] < now - WINDOW_MS) restarts.shift();
      if (restarts.length >= RESTARTS_PER_WINDOW) {
        state = 'failed';
        log.fatal(
          { how, restarts: restarts.length },
          'the embedded database keeps ending: given up',
        );
        return;
      }
      restarts.push(now);
      const waitMs = backoffMs(failuresInARow++, BACKOFF.baseMs, BACKOFF.maxMs, random);
      log.error({ how, waitMs }, 'the embedded database ended: starting it again');
      timer = setTimeout(restart, waitMs);
    });
  }

  function restart(): void {
    host = startHost(options);
    watch(host);
    host.ready.then(
      () => {
        state = 'up';
        failuresInARow = 0;
        log.info('the embedded database is up again');
      },
      () => undefined, // `watch` handles the exit
    );
  }

  try {
    await host.ready;
  } catch (error) {
    await end(host);
    throw error;
  }
  watch(host);
  return {
    state: () => state,
    pid: () => host.child.pid,
    async close() {
      closing = true;
      clearTimeout(timer);
      await end(host);
    },
  };
}

function startHost({ command, tempDir, startTimeoutMs }: SupervisorOptions): Host {
  const argv = [
    ...command.prefix,
    process.execPath,
    builtFile('embedded-mongo/host.js'),
    JSON.stringify(command.task),
  ];
  const child = spawn(argv[0] ?? '', argv.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // NODE_OPTIONS applies to this process only (inspector ports, test flags).
    env: childEnvironment({ TMPDIR: tempDir, NODE_OPTIONS: undefined }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-KEPT_OUTPUT_CHARACTERS);
    });
  }
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`it did not start within ${startTimeoutMs} ms`));
      child.kill('SIGKILL');
    }, startTimeoutMs);
    child.on('message', (message: HostMessage) => {
      clearTimeout(timer);
      if (message.type === 'ready') resolve();
      else reject(new Error(`${message.message} ${output.trim()}`.trim()));
    });
    void ended.then((how) => {
      clearTimeout(timer);
      reject(new Error(`its process ended while starting (${how}) ${output.trim()}`.trim()));
    });
  });
  return { child, ready, ended };
}

/** Stops the process within CLOSE_TIMEOUT_MS, with SIGKILL if necessary. */
async function end({ child, ended, ready }: Host): Promise<void> {
  ready.catch(() => undefined);
  if (child.connected) child.disconnect();
  const killer = setTimeout(() => child.kill('SIGKILL'), CLOSE_TIMEOUT_MS);
  await ended;
  clearTimeout(killer);
}
