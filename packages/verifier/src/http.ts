import { setMaxListeners } from 'node:events';
import { LONGEST_MS } from './option-checks.js';
import { assertSecure, type Settings } from './options.js';

/** An answer that is no success. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  constructor(status: number, url: string) {
    super(`${url} answered ${status}`);
    this.status = status;
  }
}

interface Init {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the request when the verifier is closed. */
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

export type FetchJson = (url: string, init: Init) => Promise<Record<string, unknown>>;

const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** Reads JSON, bounded in time and size. Redirects are errors: credentials go nowhere else. */
export function createFetchJson(settings: Settings): FetchJson {
  const { fetch, allowHttp, requestTimeoutMs } = settings;
  async function read(url: string, { method = 'GET', headers = {}, body, signal }: Init) {
    assertSecure(new URL(url), allowHttp);
    const response = await fetch(url, {
      method,
      headers: { accept: 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
      redirect: 'error',
      signal,
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new HttpError(response.status, url);
    }
    if (Number(response.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) {
      await response.body?.cancel();
      throw new Error(`${url} sent too much`);
    }
    const value: unknown = JSON.parse(await textOf(response, signal));
    if (typeof value !== 'object' || value === null) throw new Error(`${url} sent no JSON object`);
    return value as Record<string, unknown>;
  }
  return (url, init) =>
    withTimeLimit(init.timeoutMs ?? requestTimeoutMs, init.signal, (signal) =>
      read(url, { ...init, signal }),
    );
}

/** The signal of a fetch may be collected with it once the head is there: it ends the body here. */
async function textOf({ url, body }: Response, signal: AbortSignal): Promise<string> {
  const reader = body?.getReader();
  const cancel = () => void reader?.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', cancel, { once: true });
  const decoder = new TextDecoder();
  let text = '';
  for (let bytes = 0; ; ) {
    signal.throwIfAborted();
    const { value } = (await reader?.read()) ?? {};
    signal.throwIfAborted();
    if (value === undefined) return text + decoder.decode();
    bytes += value.byteLength;
    if (bytes > MAX_BODY_BYTES) {
      await reader?.cancel();
      throw new Error(`${url} sent too much`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

/**
 * Not `AbortSignal.any([outer, AbortSignal.timeout(ms)])`: in Node 20 the garbage collector takes
 * that timer away before it ends (nodejs/node#57736), and `outer` remembers every such signal.
 */
async function withTimeLimit<T>(
  timeoutMs: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const control = new AbortController();
  const abort = () => control.abort(outer.reason);
  const late = new DOMException(`longer than ${timeoutMs} ms`, 'TimeoutError');
  const timer = setTimeout(() => control.abort(late), timeoutMs);
  // Each request has a listener on the one signal of the verifier.
  setMaxListeners(0, control.signal, outer);
  timer.unref();
  if (outer.aborted) abort();
  else outer.addEventListener('abort', abort, { once: true });
  try {
    return await work(control.signal);
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', abort);
  }
}

/**
 * Runs while a caller waits: the timers and connections of the background keep no process alive,
 * which would then end in the middle of an `await`.
 */
export async function heldOpen<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, LONGEST_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/** Resolves after `ms`, or rejects when the verifier is closed. Keeps no process alive. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', aborted);
      resolve();
    }, ms);
    timer.unref();
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
  });
}

/** Exponential, with full jitter. */
export const backoffMs = (attempt: number, leastMs: number, mostMs: number): number =>
  Math.min(mostMs, leastMs * 2 ** Math.min(attempt, 16)) * (0.5 + Math.random() / 2);
