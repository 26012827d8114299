import cluster, { type Worker } from 'node:cluster';
import type { Socket } from 'node:net';
import { type Beat, isWorkerMessage, type PrimaryMessage, type WorkerMessage } from '../messages';
import type { WorkerState } from './worker-state';

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** One worker process, as the primary sees it. Times are on the monotonic clock, in ms. */
export interface WorkerHandle {
  readonly id: number;
  readonly pid: number;
  readonly startedAtMs: number;
  /** Changed by `transition` (worker-state.ts) only. */
  state: WorkerState;
  readyAtMs: number | undefined;
  heardAtMs: number;
  lastBeat: Beat | undefined;
  /** SIGKILL was sent; the exit may take a while on a busy host. */
  readonly isKilled: boolean;
  /** Resolves when the process is gone and every message that it sent has been read. */
  readonly exited: Promise<Exit>;
  send(message: PrimaryMessage): void;
  sendConnection(seq: number, socket: Socket): void;
  /** Sends SIGKILL. */
  kill(): void;
}

/**
 * A channel stays open after its process only if something inherited it; then the exit must not
 * wait for it.
 */
const CHANNEL_WAIT_MS = 1000;

export interface ForkOptions {
  readonly id: number;
  readonly environment: NodeJS.ProcessEnv;
  readonly now: () => number;
  readonly onMessage: (worker: WorkerHandle, message: WorkerMessage) => void;
}

export function forkWorker({ id, environment, now, onMessage }: ForkOptions): WorkerHandle {
  const worker: Worker = cluster.fork(environment);
  const { process: child } = worker;

  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      // 'exit' can come before the last messages have been read from the channel: 'disconnect' says
      // that they have.
      if (!child.connected) return resolve({ code, signal });
      child.once('disconnect', () => resolve({ code, signal }));
      setTimeout(resolve, CHANNEL_WAIT_MS, { code, signal }).unref();
    });
    child.once('error', () => {
      // The process could not even be started: there will be no 'exit'.
      if (child.pid === undefined) resolve({ code: -1, signal: null });
    });
  });

  const handle: WorkerHandle = {
    id,
    pid: child.pid ?? -1,
    startedAtMs: now(),
    state: 'starting',
    readyAtMs: undefined,
    heardAtMs: now(),
    lastBeat: undefined,
    exited,
    get isKilled() {
      return child.killed;
    },
    send(message) {
      // A channel that closes meanwhile is not a fault: 'exit' follows.
      if (child.connected) child.send(message, undefined, undefined, () => {});
    },
    sendConnection(seq, socket) {
      const message: PrimaryMessage = { type: 'connection', seq };
      if (child.connected) child.send(message, socket, { keepOpen: true }, () => {});
    },
    kill() {
      if (child.pid !== undefined) child.kill('SIGKILL');
    },
  };

  child.on('message', (message: unknown) => {
    if (isWorkerMessage(message)) onMessage(handle, message);
  });
  // An 'error' without a listener would end the primary; EPIPE on the channel of a dying worker is
  // ordinary.
  child.on('error', () => {});
  worker.on('error', () => {});
  return handle;
}
