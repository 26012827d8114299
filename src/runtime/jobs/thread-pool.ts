import { Piscina } from 'piscina';
import type { Closable } from '../../kernel/lifecycle';

/**
 * One worker thread for work that would block the event loop, started with the first task and ended
 * when there has been none for a while.
 */
export interface ThreadPool<T, R> extends Closable {
  /** Ends the thread when `signal` aborts. Rejects where too many tasks wait. */
  run(task: T, signal: AbortSignal): Promise<R>;
}

export interface ThreadPoolOptions {
  /** The program of the thread: its default export does a task. */
  readonly filename: string;
  readonly idleMs?: number;
}

/** One runs, one is prepared while its result is used. */
const QUEUE_MAX = 4;
const HEAP_MB = 256;

export function createThreadPool<T, R>(options: ThreadPoolOptions): ThreadPool<T, R> {
  const { filename, idleMs = 20_000 } = options;
  let pool: Piscina<T, R> | undefined;
  let isClosed = false;
  return {
    async run(task, signal) {
      if (isClosed) throw new Error('the thread pool is closed');
      pool ??= new Piscina<T, R>({
        filename,
        minThreads: 0,
        maxThreads: 1,
        maxQueue: QUEUE_MAX,
        idleTimeout: idleMs,
        resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
      });
      return pool.run(task, { signal });
    },
    async close() {
      isClosed = true;
      await pool?.destroy();
    },
  };
}
