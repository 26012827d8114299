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
  return async (url, { method = 'GET', headers = {}, body, signal, timeoutMs }) => {
    assertSecure(new URL(url), allowHttp);
    const response = await fetch(url, {
      method,
      headers: { accept: 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs ?? requestTimeoutMs)]),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw new HttpError(response.status, url);
    }
    if (Number(response.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) {
      await response.body?.cancel();
      throw new Error(`${url} sent too much`);
    }
    const value: unknown = await response.json();
    if (typeof value !== 'object' || value === null) throw new Error(`${url} sent no JSON object`);
    return value as Record<string, unknown>;
  };
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
