import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The waits of a request, and the fields of its log line. `cache_wait`: until the local entries
 * of other processes have expired. `shared`: work that another request began. `provider`: another
 * sign-in service.
 */
const FIELDS = {
  mongodb: 'mongodb_ms',
  redis: 'redis_ms',
  hash_queue: 'hash_queue_ms',
  hash: 'hash_ms',
  cache_wait: 'cache_wait_ms',
  shared: 'shared_ms',
  provider: 'provider_ms',
} as const;

type WaitKind = keyof typeof FIELDS;

/**
 * The work of one request that needs more than this process's memory: its id, which MongoDB's
 * commands carry, and the time that it spent waiting, by kind.
 */
export class RequestWork {
  readonly id: string;
  readonly #totalMs = new Map<WaitKind, number>();
  readonly #since = new Map<WaitKind, number>();
  readonly #open = new Map<WaitKind, number>();
  #isDone = false;

  constructor(id: string) {
    this.id = id;
  }

  /** False after the response: later work in its context belongs to no request. */
  get isUnderWay(): boolean {
    return !this.#isDone;
  }

  /** Waits of one kind at the same time count once. */
  begin(kind: WaitKind): void {
    const open = this.#open.get(kind) ?? 0;
    this.#open.set(kind, open + 1);
    if (open === 0) this.#since.set(kind, performance.now());
  }

  end(kind: WaitKind): void {
    const open = this.#open.get(kind) ?? 0;
    this.#open.set(kind, open - 1);
    const since = this.#since.get(kind);
    if (open !== 1 || since === undefined) return;
    this.#since.delete(kind);
    this.#add(kind, performance.now() - since);
  }

  /** Ends the account, with the waits that are still under way. Fields of a log line. */
  finish(): Readonly<Record<string, number>> {
    this.#isDone = true;
    const now = performance.now();
    for (const [kind, since] of this.#since) this.#add(kind, now - since);
    this.#since.clear();
    return Object.fromEntries(
      [...this.#totalMs].map(([kind, ms]) => [FIELDS[kind], Math.round(ms * 1000) / 1000]),
    );
  }

  #add(kind: WaitKind, ms: number): void {
    this.#totalMs.set(kind, (this.#totalMs.get(kind) ?? 0) + ms);
  }
}

/**
 * Node's own means for data that follows a chain of promises. One for the process: the hundreds of
 * places that ask a store need no parameter for it, and each request has its own value.
 */
const storage = new AsyncLocalStorage<RequestWork>();

/** The request on behalf of which this runs; undefined: none, or its response has ended. */
export function currentWork(): RequestWork | undefined {
  const work = storage.getStore();
  return work?.isUnderWay === true ? work : undefined;
}

/** Of the request's context. */
export interface Requested {
  readonly correlationId: string;
  work: RequestWork | undefined;
}

/**
 * Runs `work` on behalf of the request. Called where a request leaves the hot path: one that is
 * answered from the local cache allocates nothing for it.
 */
export function forRequest<T>(request: Requested, work: () => T): T {
  request.work ??= new RequestWork(request.correlationId);
  return storage.run(request.work, work);
}

/** Counts the wait for `work` to the current request. */
export function timed<T>(kind: WaitKind, work: () => Promise<T>): Promise<T> {
  const current = currentWork();
  return current === undefined ? work() : counted(current, kind, work);
}

async function counted<T>(
  current: RequestWork,
  kind: WaitKind,
  work: () => Promise<T>,
): Promise<T> {
  current.begin(kind);
  try {
    return await work();
  } finally {
    current.end(kind);
  }
}
