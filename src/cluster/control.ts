import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Closable } from '../lifecycle';
import type { Fleet } from './fleet';

/** The primary's control socket: one JSON line in, one JSON line out. Only this user can reach it (runtime-dir.ts). */
export interface ControlRequest {
  readonly command: 'status' | 'reload' | 'scale';
  /** scale: how many workers to run, or "+1", "-2". */
  readonly count?: string;
}

export interface WorkerStatus {
  readonly id: number;
  readonly pid: number;
  readonly state: string;
  readonly suspect: boolean;
  readonly heapUsedMb: number | undefined;
  readonly loopDelayP99Ms: number | undefined;
  readonly connections: number | undefined;
}

export type ControlAnswer =
  | { readonly ok: true; readonly wanted: number; readonly ready: number; readonly workers: readonly WorkerStatus[] }
  | { readonly ok: false; readonly error: string };

const SOCKET = 'control.sock';
const REQUEST_MAX = 4096;

function status({ supervisor }: Fleet): ControlAnswer {
  const workers = supervisor.workers().map(({ id, pid, state, suspect, lastBeat }) => ({
    id,
    pid,
    state,
    suspect,
    heapUsedMb: lastBeat?.heapUsedMb,
    loopDelayP99Ms: lastBeat?.delayP99Ms,
    connections: lastBeat?.connections,
  }));
  return { ok: true, wanted: supervisor.wanted(), ready: supervisor.readyCount(), workers };
}

async function answer(fleet: Fleet, line: string): Promise<ControlAnswer> {
  const { command, count = '' } = JSON.parse(line) as ControlRequest;
  const { supervisor } = fleet;
  if (command === 'status') return status(fleet);
  if (command === 'reload') {
    const done = await supervisor.reload();
    return done ? status(fleet) : { ok: false, error: 'the reload stopped: see the log; workers that were not replaced keep serving' };
  }
  const [, sign, digits] = /^([+-]?)(\d{1,3})$/.exec(count) ?? [];
  if (command !== 'scale' || digits === undefined) return { ok: false, error: 'unknown command; try status, reload, scale N, scale +1' };
  supervisor.scale(sign === '' ? Number(digits) : supervisor.wanted() + Number(`${sign}${digits}`));
  return status(fleet);
}

export async function startControl(runtimeDir: string, fleet: Fleet): Promise<Closable> {
  const path = join(runtimeDir, SOCKET);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => {});
    socket.setEncoding('utf8');
    let text = '';
    socket.on('data', (part: string) => {
      text += part;
      if (text.length > REQUEST_MAX) socket.destroy();
      if (!text.includes('\n')) return;
      answer(fleet, text).then(
        (result) => socket.end(`${JSON.stringify(result)}\n`),
        () => socket.end(`${JSON.stringify({ ok: false, error: 'the request was not understood' } satisfies ControlAnswer)}\n`),
      );
    });
  });
  // Another primary with the same address (in another network namespace, say) keeps its socket.
  if (await isAnswered(path)) throw new Error(`${path} belongs to another primary: give each its RUNTIME_DIR`);
  rmSync(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  server.on('error', () => {});
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** The caller's side. A reload answers when it is over, hence the long limit. */
export function askControl(runtimeDir: string, request: ControlRequest, timeoutMs = 600_000): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(runtimeDir, SOCKET), () => socket.write(`${JSON.stringify(request)}\n`));
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    socket.setEncoding('utf8');
    let text = '';
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.once('error', reject);
    socket.once('end', () =>
      text === '' ? reject(new Error('the primary ended before it answered')) : resolve(JSON.parse(text) as ControlAnswer),
    );
  });
}
