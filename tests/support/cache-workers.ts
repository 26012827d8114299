import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import type { FromWorker, Point, Request, WorkerOptions } from './cache-worker';

export interface TestWorker {
  readonly pid: number;
  get(key: string): Promise<number | null>;
  write(key: string): Promise<number>;
  count(name: string): Promise<number>;
  ask<T>(request: Request): Promise<T>;
  /**
   * Halts the next operation on this key at `point`; resolves when the worker has received this.
   */
  hold(point: Point, key: string): Promise<void>;
  /** Resolves when an operation is halted there. */
  reached(point: Point, key: string): Promise<void>;
  release(point: Point, key: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
  kill(): Promise<void>;
  close(): Promise<void>;
}

const ENTRY = path.join(__dirname, 'cache-worker.js');

export async function startWorker(options: WorkerOptions): Promise<TestWorker> {
  const child = fork(ENTRY, [JSON.stringify(options)], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  const arrivals = new Map<string, { here: boolean; wake: (() => void)[] }>();
  let ids = 0;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  const arrival = (name: string) => {
    const known = arrivals.get(name) ?? { here: false, wake: [] };
    arrivals.set(name, known);
    return known;
  };
  const ready = new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => {
      reject(new Error(`the worker ended with ${code}`));
      for (const { reject: fail } of waiting.values()) fail(new Error('the worker is gone'));
      waiting.clear();
    });
    child.on('message', (message: FromWorker) => {
      if ('id' in message) {
        const one = waiting.get(message.id);
        waiting.delete(message.id);
        if (message.error === undefined) one?.resolve(message.result);
        else one?.reject(new Error(message.error));
      } else if (message.event === 'ready') resolve();
      else {
        const at = arrival(`${message.point} ${message.key}`);
        at.here = true;
        for (const wake of at.wake.splice(0)) wake();
      }
    });
  });
  await ready;

  function ask<T>(request: Request): Promise<T> {
    ids += 1;
    const id = ids;
    return new Promise<T>((resolve, reject) => {
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      send(child, { id, ...request }, reject);
    });
  }

  return {
    pid: child.pid ?? -1,
    ask,
    get: (key) => ask({ op: 'get', key }),
    write: (key) => ask({ op: 'write', key }),
    count: (name) => ask({ op: 'count', name }),
    async hold(point, key) {
      arrivals.delete(`${point} ${key}`);
      await ask({ op: 'hold', point, key });
    },
    reached(point, key) {
      const at = arrival(`${point} ${key}`);
      return at.here ? Promise.resolve() : new Promise((resolve) => at.wake.push(resolve));
    },
    release: (point, key) => ask({ op: 'release', point, key }),
    signal: (name) => void child.kill(name),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await ask({ op: 'close' }).catch(() => undefined);
      await ended;
      clearTimeout(timer);
    },
  };
}

function send(child: ChildProcess, message: object, failed: (error: Error) => void): void {
  child.send(message, (error) => {
    if (error !== null) failed(error);
  });
}
