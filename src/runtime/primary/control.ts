import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Closable } from '../../kernel/lifecycle';
import { isAnswered, listening } from '../listening';
import { drainWorker } from './drain';
import type { Fleet } from './fleet';
import { parseScale } from './scale';

/**
 * The primary's control socket: one JSON line in, one JSON line out. Only this user can reach it
 * (runtime-dir.ts).
 */
export interface ControlRequest {
  readonly command: 'status' | 'reload' | 'scale' | 'drain' | 'token';
  /** scale: how many workers to run, or "+1", "-2"; drain: the number of the worker. */
  readonly count?: string;
}

interface WorkerStatus {
  readonly id: number;
  readonly pid: number;
  readonly state: string;
  readonly heapUsedMb: number | undefined;
  readonly loopDelayP99Ms: number | undefined;
  readonly connections: number | undefined;
}

export type ControlAnswer =
  | {
      readonly ok: true;
      readonly wanted: number;
      readonly ready: number;
      readonly workers: readonly WorkerStatus[];
      /** token: the secret that the ops page asks for before it acts. */
      readonly token?: string;
    }
  | { readonly ok: false; readonly error: string };

const SOCKET = 'control.sock';
const REQUEST_MAX = 4096;

function status({ supervisor }: Fleet): ControlAnswer {
  const workers = supervisor.workers().map(({ id, pid, state, lastBeat }) => ({
    id,
    pid,
    state,
    heapUsedMb: lastBeat?.heapUsedMb,
    loopDelayP99Ms: lastBeat?.delayP99Ms,
    connections: lastBeat?.connections,
  }));
  return { ok: true, wanted: supervisor.wanted(), ready: supervisor.readyCount(), workers };
}

async function answer(fleet: Fleet, token: string, line: string): Promise<ControlAnswer> {
  const { command, count = '' } = JSON.parse(line) as ControlRequest;
  const { supervisor } = fleet;
  if (command === 'status') return status(fleet);
  if (command === 'token') return { ...status(fleet), token } as ControlAnswer;
  if (command === 'reload') {
    const done = await supervisor.reload();
    return done
      ? status(fleet)
      : {
          ok: false,
          error: 'the reload stopped: see the log; workers that were not replaced keep serving',
        };
  }
  if (command === 'drain') {
    const refusal = drainWorker(supervisor, count);
    return refusal === undefined ? status(fleet) : { ok: false, error: refusal };
  }
  if (command !== 'scale')
    return {
      ok: false,
      error: `unknown command ${JSON.stringify(command)}; use status, reload, scale N, scale +1, drain ID, token`,
    };
  const scale = parseScale(count, supervisor.wanted());
  if ('error' in scale) return { ok: false, error: scale.error };
  supervisor.scale(scale.wanted);
  return status(fleet);
}

export async function startControl(
  runtimeDir: string,
  fleet: Fleet,
  token: string,
): Promise<Closable> {
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
      answer(fleet, token, text).then(
        (result) => socket.end(`${JSON.stringify(result)}\n`),
        () =>
          socket.end(
            `${JSON.stringify({ ok: false, error: 'the request is malformed' } satisfies ControlAnswer)}\n`,
          ),
      );
    });
  });
  // Another primary with the same address (in another network namespace, say) keeps its socket.
  if (await isAnswered(path))
    throw new Error(`${path} belongs to another primary: give each primary its own RUNTIME_DIR`);
  rmSync(path, { force: true });
  await listening(server, { path });
  server.on('error', () => {});
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** The caller's side. A reload answers when it is over, hence the long limit. */
export function askControl(
  runtimeDir: string,
  request: ControlRequest,
  timeoutMs = 600_000,
): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(join(runtimeDir, SOCKET), () =>
      socket.write(`${JSON.stringify(request)}\n`),
    );
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(new Error(`no answer within ${timeoutMs} ms`)),
    );
    socket.setEncoding('utf8');
    let text = '';
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.once('error', reject);
    socket.once('end', () => {
      try {
        resolve(JSON.parse(text) as ControlAnswer);
      } catch {
        reject(new Error('the primary ended before it answered'));
      }
    });
  });
}
