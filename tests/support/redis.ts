import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Sends the signal; if it terminates the process, resolves after the exit. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /**
   * Stops the server if it still runs, and starts an empty one with the same arguments and port.
   */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export const redisAvailable = spawnSync('redis-server', ['--version']).status === 0;

/** `describe`, skipped with the reason in its title when Redis is not available. */
export function describeWithRedis(name: string, define: () => void): void {
  if (redisAvailable) describe(name, define);
  else describe.skip(`${name} [skipped: redis-server is not installed; npm run provision]`, define);
}

const START_TIMEOUT_MS = 5000;
const STOPPING: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT'];

/**
 * A real redis-server on a free port, without persistence. It exits with this process, for any
 * reason.
 */
export async function startTestRedis(args: readonly string[] = []): Promise<TestRedis> {
  const dir = await mkdtemp(path.join(tmpdir(), 'redis-'));
  const port = await freePort();
  let server = await startServer(port, dir, args).catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });

  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid;
    },
    async kill(signal) {
      process.kill(server.pid, signal);
      if (STOPPING.includes(signal)) await server.ended;
    },
    async restart() {
      await server.end();
      server = await startServer(port, dir, args);
    },
    async close() {
      await server.end();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

interface Server {
  readonly pid: number;
  readonly ended: Promise<void>;
  end(): Promise<void>;
}

async function startServer(port: number, dir: string, args: readonly string[]): Promise<Server> {
  const base = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    '--appendonly',
    'no',
    '--daemonize',
    'no',
  ];
  const child = spawn('redis-server', [...base, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-1000);
    });
  }
  const pid = child.pid;
  if (pid === undefined) throw new Error('redis-server could not be started');
  const guard = startGuard(pid, dir);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve())).then(() =>
    guard.end(),
  );
  const end = () => {
    child.kill('SIGKILL');
    return ended;
  };
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await answersPing(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await end();
      throw new Error(`redis-server did not start on port ${port}: ${output.trim()}`);
    }
    await sleep(10);
  }
  return { pid, ended, end };
}

/**
 * A shell that kills `pid` and removes its folder when its stdin ends, which happens when this
 * process exits, even by SIGKILL.
 */
function startGuard(pid: number, dir: string): { end(): void } {
  const guard = spawn(
    'sh',
    [
      '-c',
      'cat >/dev/null; [ "$(ps -o comm= -p "$1")" = redis-server ] && kill -KILL "$1"; rm -rf "$2"',
      'guard',
      String(pid),
      dir,
    ],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    },
  );
  return {
    end() {
      // The shell's process group. Without a pid there is none; 0 would be this process's group.
      if (guard.pid !== undefined) process.kill(-guard.pid, 'SIGKILL');
    },
  };
}

/** Also true for a server that replies with an error (no AUTH, loading): it listens. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('data', () => answer(true)).once('error', () => answer(false));
    socket.setTimeout(1000, () => answer(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
