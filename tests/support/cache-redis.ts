import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';

/** A real redis-server for one test, with functions to disturb it. */
export interface RealRedis {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  command(...args: string[]): Promise<unknown>;
  signal(name: NodeJS.Signals): void;
  /** kill -9; resolves after the exit. */
  kill(): Promise<void>;
  /** Starts it again on the same port. */
  restart(extra?: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export const redisAvailable = (): boolean => spawnSync('redis-server', ['--version']).status === 0;

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
}

/** Polls until `condition` holds; throws after `timeoutMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: string,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await condition()) return;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * A shell that kills the server when this process exits, even by SIGKILL: its standard input ends
 * then.
 */
function guard(child: ChildProcess): void {
  const shell = spawn(
    'sh',
    [
      '-c',
      'cat >/dev/null; [ "$(ps -o comm= -p "$1")" = redis-server ] && kill -KILL "$1"',
      'guard',
      String(child.pid),
    ],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    },
  );
  child.once('exit', () => shell.kill('SIGKILL'));
}

async function ask(port: number, args: string[]): Promise<unknown> {
  const client = createClient({
    RESP: 2,
    socket: { host: '127.0.0.1', port, connectTimeout: 10_000, reconnectStrategy: false },
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await client.sendCommand(args);
  } finally {
    client.destroy();
  }
}

/** `first`: arguments that must come before all others (a configuration file). */
export async function startRedis(
  extra: readonly string[] = [],
  givenPort?: number,
  first?: readonly string[],
): Promise<RealRedis> {
  const port = givenPort ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'cache-redis-'));
  let child: ChildProcess;

  async function launch(more: readonly string[]): Promise<void> {
    const storage = first === undefined ? ['--save', '', '--appendonly', 'no'] : [];
    const args = [
      ...(first ?? []),
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      folder,
      ...storage,
      ...extra,
      ...more,
    ];
    child = spawn('redis-server', args, { stdio: 'ignore' });
    guard(child);
    await until(
      () =>
        ask(port, ['PING']).then(
          (reply) => reply === 'PONG',
          () => false,
        ),
      10_000,
      `redis-server on port ${port}`,
    );
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  await launch([]);
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    command: (...args) => ask(port, args),
    signal: (name) => void child.kill(name),
    kill,
    restart: (more = []) => launch(more),
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
