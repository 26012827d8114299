import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly pid: number;
  readonly [key: string]: unknown;
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One started service: the process of its primary, and its log. */
export interface ServiceProcess {
  readonly pid: number;
  readonly url: string;
  readonly port: number;
  readonly runtimeDir: string;
  readonly exited: Promise<Exit>;
  logs(message?: string): LogLine[];
  stderr(): string;
  /** Resolves with the first matching line at or after index `from`. */
  waitForLog(message: string, fits?: (line: LogLine) => boolean, from?: number): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  /** Pids of its living workers, oldest first. */
  workerPids(): number[];
  /** Sends SIGTERM, then SIGKILL if necessary; cleans up. */
  close(): Promise<void>;
}

export interface ServiceOptions {
  readonly entry: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Do not wait until it listens: the start is expected to fail. */
  readonly failing?: boolean;
  readonly timeoutMs?: number;
}

/**
 * A pid to send signals to. Never 0: that would signal the process group of this process.
 */
export function victimOf(pids: readonly (number | undefined)[]): number {
  const [pid] = pids;
  if (pid === undefined || pid <= 1)
    throw new Error(`no process to send a signal to: ${JSON.stringify(pids)}`);
  return pid;
}

export const root = path.join(__dirname, '..', '..', '..');

/** Polls until `probe` returns a value; the timeout error includes `what`. */
export async function until<T>(
  what: string | (() => string),
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline)
      throw new Error(`waited ${timeoutMs} ms for ${typeof what === 'string' ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** False also for a zombie: it has exited but has not been reaped. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Starts a service on a free port with the given settings, and waits until it listens. */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const dir = mkdtempSync(path.join(tmpdir(), 'service-'));
  const { PATH = '', HOME = '' } = process.env;
  const env = {
    PATH,
    HOME,
    PORT: '0',
    HOST: '127.0.0.1',
    OPS_PORT: '0',
    WORKERS: '2',
    RUNTIME_DIR: path.join(dir, 'run'),
    ...options.env,
  };
  // Its own folder, so that it does not read the developer's .env.
  const child = spawn(process.execPath, [options.entry, ...(options.args ?? [])], {
    cwd: dir,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = readOutput(child);
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  let port = 0;

  const service: ServiceProcess = {
    pid: child.pid ?? -1,
    get port() {
      return port;
    },
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    runtimeDir: env.RUNTIME_DIR,
    exited,
    logs: (message) => output.lines.filter(({ msg }) => message === undefined || msg === message),
    stderr: () => output.errors.join(''),
    waitForLog: (message, fits = () => true, from = 0) =>
      until(
        () => `the log line "${message}" in\n${output.text().slice(-4_000)}`,
        () => {
          const found = output.lines.slice(from).find((line) => line.msg === message && fits(line));
          if (found === undefined && child.exitCode !== null)
            throw new Error(`ended with ${child.exitCode} before "${message}":\n${output.text()}`);
          return found;
        },
        options.timeoutMs ?? 20_000,
      ),
    signal: (signal) => process.kill(child.pid ?? -1, signal),
    workerPids: () => output.started().filter(isRunning),
    async close() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 12_000);
      await exited;
      clearTimeout(timer);
      await until('the workers to end', () => service.workerPids().length === 0);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  if (options.failing !== true) {
    try {
      port = Number((await service.waitForLog('listening'))['port']);
      await service.waitForLog(
        'worker ready',
        (line) => Number(line['ready']) >= Number(env.WORKERS),
      );
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }
  return service;
}

function readOutput(child: ChildProcess) {
  const lines: LogLine[] = [];
  const errors: string[] = [];
  let rest = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    const pieces = (rest + part).split('\n');
    rest = pieces.pop() ?? '';
    for (const piece of pieces) {
      try {
        lines.push(JSON.parse(piece) as LogLine);
      } catch {
        errors.push(`not JSON: ${piece}\n`);
      }
    }
  });
  child.stderr?.setEncoding('utf8').on('data', (part: string) => errors.push(part));
  return {
    lines,
    errors,
    text: () => [...lines.map((line) => JSON.stringify(line)), ...errors].join('\n'),
    started: () =>
      lines.flatMap(({ msg, workerPid }) => (msg === 'worker ready' ? [Number(workerPid)] : [])),
  };
}

/**
 * A free port, for programs that cannot report a port chosen by the system. It lies below the
 * ephemeral range (from 32768 on Linux): concurrent tests open hundreds of connections, and one of
 * them could take the port before the service has started.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(15_000, 32_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
