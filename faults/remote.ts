import { join } from 'node:path';
import type { HostNode } from '../tests/support/network';
import type { RawAnswer, RawRequest } from '../tests/support/raw-http';
import type { LoadOptions, PlannedRequest, RequestRecord } from './load';

/** A load as it travels between processes: its requests are a list that is taken in turn. */
export type RemoteLoadOptions = Omit<LoadOptions, 'request' | 'onAnswer'> & {
  readonly mix: readonly PlannedRequest[];
};

export type ToRemote =
  | {
      readonly id: number;
      readonly kind: 'request';
      readonly url: string;
      readonly options: RawRequest;
    }
  | { readonly id: number; readonly kind: 'start'; readonly load: RemoteLoadOptions }
  | { readonly id: number; readonly kind: 'stop'; readonly load: number };
export interface FromRemote {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

export interface RemoteLoad {
  /** On the clock of the records. */
  elapsedMs(): number;
  /** Resolves when the load has run for this long. */
  reached(elapsedMs: number): Promise<void>;
  stop(): Promise<readonly RequestRecord[]>;
}

/** A client on one of the hosts. */
export interface RemoteClient {
  request(url: string, options?: RawRequest): Promise<Omit<RawAnswer, 'bytes'>>;
  startLoad(load: RemoteLoadOptions): Promise<RemoteLoad>;
  close(): Promise<void>;
}

export function startRemoteClient(node: HostNode): RemoteClient {
  const running = node.run([process.execPath, join(__dirname, 'remote-main.js')], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let last = 0;
  running.child.on('message', ({ id, value, error }: FromRemote) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(error));
  });
  void running.exited.then(() => {
    for (const call of waiting.values())
      call.reject(new Error(`the client's process ended: ${running.output()}`));
    waiting.clear();
  });

  function ask<T>(
    message: ToRemote extends infer M ? (M extends { id: number } ? Omit<M, 'id'> : never) : never,
  ): Promise<T> {
    last += 1;
    const id = last;
    return new Promise<T>((resolve, reject) => {
      waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      running.child.send({ ...message, id });
    });
  }

  return {
    request: (url, options = {}) => ask({ kind: 'request', url, options }),
    async startLoad(load) {
      const started = ask<number>({ kind: 'start', load });
      const id = last;
      const startedAt = await started;
      const elapsedMs = () => performance.timeOrigin + performance.now() - startedAt;
      return {
        elapsedMs,
        reached: (atMs) =>
          new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - elapsedMs()))),
        stop: () => ask({ kind: 'stop', load: id }),
      };
    },
    close: () => running.stop(),
  };
}
