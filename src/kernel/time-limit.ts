import { setMaxListeners } from 'node:events';

export interface TimeLimit {
  /** Aborted after the time, or with the outer signal. */
  readonly signal: AbortSignal;
  /** Frees the timer and the outer signal. */
  end(): void;
}

/**
 * Not `AbortSignal.any([outer, AbortSignal.timeout(ms)])`: in Node 20 the garbage collector takes
 * that timer away before it ends (nodejs/node#57736), and `outer` remembers every such signal.
 * Holds no process open.
 */
export function startTimeLimit(timeoutMs: number, outer?: AbortSignal): TimeLimit {
  const control = new AbortController();
  // Many requests may share a limit, or limits an outer signal: that is no leak.
  setMaxListeners(0, control.signal, ...(outer === undefined ? [] : [outer]));
  const abort = () => control.abort(outer?.reason);
  const timer = setTimeout(
    () => control.abort(new DOMException(`longer than ${timeoutMs} ms`, 'TimeoutError')),
    timeoutMs,
  ).unref();
  if (outer?.aborted === true) abort();
  else outer?.addEventListener('abort', abort, { once: true });
  return {
    signal: control.signal,
    end() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', abort);
    },
  };
}

/** `work` covers all that the limit is for: of a request, the body too. */
export async function withTimeLimit<T>(
  timeoutMs: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = startTimeLimit(timeoutMs, outer);
  try {
    return await work(limit.signal);
  } finally {
    limit.end();
  }
}
