import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { onCpus } from './cpus';

export interface Program {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cpus: readonly number[];
  readonly env?: NodeJS.ProcessEnv;
  /** Where stdout and stderr go: a file, as under a service manager. */
  readonly logFile: string;
}

export interface Running {
  readonly pid: number;
  /** Resolves once the process has ended; kills it when it does not leave within `graceMs`. */
  stop(graceMs?: number): Promise<void>;
  readonly alive: () => boolean;
}

export function start(program: Program): Running {
  const { command, args } = onCpus(program.cpus, program.command, program.args);
  const log = openSync(program.logFile, 'a');
  const child: ChildProcess = spawn(command, args, {
    env: program.env,
    stdio: ['ignore', log, log],
  });
  const ended = once(child, 'exit');
  // No contestant may outlive the harness.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  ended.catch(() => {});
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program.name} did not start: ${command} cannot be run`);
  return {
    pid,
    alive: () => child.exitCode === null && child.signalCode === null,
    async stop(graceMs = 5000) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await Promise.race([ended, delay(graceMs, undefined, { ref: false })]);
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Polls until `check` holds. Fails early, with the end of the log, when the process has died. */
export async function untilReady(
  program: Program,
  running: Running,
  check: () => Promise<boolean>,
  deadlineMs = 60_000,
): Promise<number> {
  const began = performance.now();
  while (!(await check().catch(() => false))) {
    const tooLate = performance.now() - began > deadlineMs;
    if (tooLate || !running.alive()) {
      await running.stop();
      const why = tooLate ? `is not ready after ${deadlineMs} ms` : 'ended while starting';
      throw new Error(
        `${program.name} ${why}:\n${readFileSync(program.logFile, 'utf8').slice(-2000)}`,
      );
    }
    await delay(5);
  }
  return performance.now() - began;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Process ids below `pid`, itself included (Linux). */
export function tree(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [
    pid,
    ...(children === '' ? [] : children.split(' ').flatMap((child) => tree(Number(child)))),
  ];
}

/** Resident memory in MB (10^6 bytes). */
export function rssMegabytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return (Number(kib) * 1024) / 1e6;
}

/** Processor time that a process and its children have used, in ms. */
export function cpuMs(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) * 10;
}
