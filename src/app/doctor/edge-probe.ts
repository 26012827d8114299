import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { childEnvironment, toolEnvironment } from '../../kernel/config/config';
import { ask } from './ask';

/** Not in the PATH of an ordinary user. */
const DAEMON_FOLDERS = ['/usr/sbin', '/usr/local/sbin'];

/** A started program; `close` ends it. */
export interface Program {
  readonly output: () => string;
  readonly hasEnded: () => boolean;
  close(): Promise<void>;
}

/** Starts the program of an edge in the foreground. */
export function startProgram(command: readonly string[]): Program {
  const [file = '', ...args] = command;
  const PATH = [...toolEnvironment('doctor').path, ...DAEMON_FOLDERS].join(delimiter);
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnvironment({ PATH }),
  });
  let output = '';
  let ended = false;
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      output = (output + part.toString()).slice(-4000);
    });
  const exited = new Promise<void>((resolve) => {
    const end = () => {
      ended = true;
      resolve();
    };
    child.once('exit', end).once('error', (error) => {
      output += error.message;
      end();
    });
  });
  return {
    output: () => output,
    hasEnded: () => ended,
    async close() {
      if (!ended) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** A server that takes whole requests, counts them by X-Request-Id, and breaks the connection. */
export interface Probe {
  readonly port: number;
  /** How often the request of this id has arrived. */
  arrived(id: string): number;
  close(): Promise<void>;
}

export async function startProbe(): Promise<Probe> {
  const seen = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    // Health checks of the edge must be answered, or it sends nothing at all.
    if (request.url === '/readyz' || request.url === '/livez' || request.url === '/health')
      return void response.end('{}');
    request.resume().on('end', () => {
      const id = String(request.headers['x-request-id'] ?? request.headers['x-doctor'] ?? '');
      seen.set(id, (seen.get(id) ?? 0) + 1);
      request.socket.destroy();
    });
  });
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(0, '127.0.0.1', resolve),
  );
  return {
    port: (server.address() as AddressInfo).port,
    arrived: (id) => seen.get(id) ?? 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const NOBODY = '0'.repeat(24);
const WRITES = [
  ['POST', '/api/auth/login'],
  ['PATCH', `/api/users/${NOBODY}`],
  ['PUT', `/api/users/${NOBODY}`],
  ['DELETE', `/api/users/${NOBODY}`],
] as const;
const START_MS = 5000;

/** Waits until the edge answers at all; false where it ended or stays silent. */
export async function isServing(base: string, program: Program): Promise<boolean> {
  const deadline = performance.now() + START_MS;
  while (!program.hasEnded() && performance.now() < deadline) {
    const answer = await ask(`${base}/readyz`).catch(() => undefined);
    if (answer !== undefined && answer.status < 500) return true;
    await delay(50);
  }
  return false;
}

/** Methods that reached the probes more than once, and those that never did. */
export async function sendWrites(
  base: string,
  probes: readonly Probe[],
): Promise<{ readonly repeated: string[]; readonly lost: string[] }> {
  const repeated: string[] = [];
  const lost: string[] = [];
  for (const [method, path] of WRITES) {
    const id = `doctor-${method.toLowerCase()}`;
    // The answer does not matter: the edge has none to give.
    await ask(`${base}${path}`, {
      method,
      headers: { 'x-request-id': id, 'x-doctor': id, 'content-type': 'application/json' },
      body: '{}',
    }).catch(() => undefined);
    const times = probes.reduce((sum, probe) => sum + probe.arrived(id), 0);
    if (times > 1) repeated.push(`${method} ${times} times`);
    if (times === 0) lost.push(method);
  }
  return { repeated, lost };
}
