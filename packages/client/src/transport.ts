import type { Deadline } from './deadline.js';
import { ClientError, problemOf } from './errors.js';
import { backoffMs, type RetryBudget } from './retry.js';

export interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Sending it twice does no more than sending it once. */
  readonly isRepeatable: boolean;
}

export interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** An earlier attempt had no answer: it may have been done as well. */
  readonly isRepeated: boolean;
}

type Attempted = Omit<Received, 'isRepeated'>;

export interface TransportOptions {
  readonly fetch: typeof fetch;
  readonly budget: RetryBudget;
  readonly attemptTimeoutMs: number;
  readonly credentials: 'include' | 'omit';
  /** Called with each answer, for its `Date`. */
  readonly seen: (headers: Headers) => void;
}

interface SendOptions {
  /** The longest pause without Retry-After; a refresh has to be repeated soon. */
  readonly backoffMaxMs?: number;
  /** At most the client's own. */
  readonly attemptTimeoutMs?: number;
  /** Made anew for each attempt: the token may have been refreshed meanwhile. */
  readonly authorize?: () => Promise<Record<string, string>>;
}

/** Sends a request until it has an answer that repeating would not change. */
export type Send = (
  request: Outgoing,
  deadline: Deadline,
  options?: SendOptions,
) => Promise<Received>;

/**
 * Chromium takes what it has for the answer when the connection ends within the headers: such an
 * answer has a status and no body, though its length may be there. Node's `fetch` does the same
 * within the body of an answer that has `Connection: close`, as in a reload.
 */
function isCut({ status, text, headers }: Attempted): boolean {
  if (text === '')
    return ![204, 205, 304].includes(status) && headers.get('content-length') !== '0';
  if (!/[/+]json/.test(headers.get('content-type') ?? '')) return false;
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}

/** The service refused it before it did anything, or the answer is of a proxy. */
const isTransient = ({ status, text }: Attempted): boolean =>
  [408, 429, 502, 503, 504].includes(status) ||
  (status === 409 && text.includes('"request_in_flight"'));

export function createSend(options: TransportOptions): Send {
  const { budget, credentials, seen } = options;

  async function attempt(
    { method, url, body, headers: own }: Outgoing,
    deadline: Deadline,
    more: Readonly<Record<string, string>>,
    timeoutMs: number,
  ) {
    const headers = { ...own, ...more };
    // One answer that never comes must not use up the time of the call.
    const control = new AbortController();
    const abort = () => control.abort();
    const timer = setTimeout(abort, timeoutMs);
    deadline.signal.addEventListener('abort', abort);
    try {
      deadline.check();
      const init = { method, headers, credentials, signal: control.signal, cache: 'no-store' };
      const answer = await options.fetch(url, {
        ...(init as RequestInit),
        ...(body === undefined ? {} : { body }),
      });
      const text = await answer.text();
      seen(answer.headers);
      return { status: answer.status, headers: answer.headers, text };
    } finally {
      clearTimeout(timer);
      deadline.signal.removeEventListener('abort', abort);
    }
  }

  /** An answer that repeating would not change; otherwise the failure, and when to go on. */
  async function tried(
    request: Outgoing,
    deadline: Deadline,
    more: Readonly<Record<string, string>>,
    timeoutMs: number,
    pauseMs: (retryAfterSeconds?: number) => number,
  ): Promise<{ answer: Attempted } | { failure: Error; pauseMs: number; isDone: boolean }> {
    try {
      const answer = await attempt(request, deadline, more, timeoutMs);
      if (!(request.isRepeatable && isTransient(answer))) {
        // What is not repeated is told by its status, whatever has become of its body.
        const isTold = answer.status >= 400 && !request.isRepeatable;
        if (!isTold && isCut(answer)) throw new Error('the answer was cut off');
        return { answer };
      }
      const failure = problemOf(answer.status, answer.text, answer.headers);
      // After a 503 at the deadline of a write, whether it was done is not known.
      const isDone = answer.status !== 429;
      return { failure, pauseMs: pauseMs(failure.retryAfterSeconds), isDone };
    } catch (error) {
      deadline.check(error);
      const failure = new ClientError('network', 'The service could not be reached.', error);
      if (!request.isRepeatable) throw failure;
      return { failure, pauseMs: pauseMs(), isDone: true };
    }
  }

  return async (request, deadline, { authorize, backoffMaxMs, attemptTimeoutMs } = {}) => {
    const timeoutMs = Math.min(options.attemptTimeoutMs, attemptTimeoutMs ?? Infinity);
    let isRepeated = false;
    for (let count = 0; ; count += 1) {
      // Not a part of the attempt: a refresh has its own retries.
      const authorization = (await authorize?.()) ?? {};
      const result = await tried(request, deadline, authorization, timeoutMs, (retryAfterSeconds) =>
        backoffMs(count, retryAfterSeconds, backoffMaxMs),
      );
      if ('answer' in result) {
        budget.succeeded();
        return { ...result.answer, isRepeated };
      }
      const { failure, pauseMs, isDone } = result;
      isRepeated ||= isDone;
      if (pauseMs > deadline.leftMs() || !budget.take()) throw failure;
      await deadline.sleep(pauseMs);
    }
  };
}
