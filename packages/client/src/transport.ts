import type { Deadline } from './deadline.js';
import { ClientError, problemOf } from './errors.js';
import { backoffMs, type RetryBudget } from './retry.js';
import type { FileBody } from './types.js';

export interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers | Readonly<Record<string, string>>;
  readonly body?: FileBody;
  /** Sending it twice does no more than sending it once. */
  readonly isRepeatable: boolean;
  /** Only the deadline bounds its upload. */
  readonly isFile?: boolean;
  /** A success is given before its body has arrived. */
  readonly isStreamed?: boolean;
}

export interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Instead of the text, where it was asked for. */
  readonly stream?: Response;
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
function isCut({ status, text, headers, stream }: Attempted): boolean {
  if (stream !== undefined) return false;
  if (text === '')
    return ![204, 205, 304].includes(status) && headers.get('content-length') !== '0';
  // A page of a proxy or a portal is no success of the service.
  if (!/[/+]json/.test(headers.get('content-type') ?? '')) return status < 400;
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
    { url, headers: own, isFile, isStreamed, isRepeatable, ...given }: Outgoing,
    deadline: Deadline,
    more: Readonly<Record<string, string>>,
    timeoutMs: number,
  ) {
    const headers = new Headers(own);
    for (const [name, value] of Object.entries(more)) headers.set(name, value);
    // One answer that never comes must not use up the time of the call.
    const control = new AbortController();
    const abort = () => control.abort();
    const timer = setTimeout(abort, isFile ? deadline.leftMs() : timeoutMs);
    deadline.signal.addEventListener('abort', abort);
    try {
      deadline.check();
      const init = { credentials, signal: control.signal, cache: 'no-store', duplex: 'half' };
      const answer = await options.fetch(url, { ...given, headers, ...(init as RequestInit) });
      // 204: there is nothing to stream.
      const isHead = isStreamed && answer.ok && answer.status !== 204;
      const text = isHead ? '' : await answer.text();
      seen(answer.headers);
      const { status } = answer;
      return { status, headers: answer.headers, text, ...(isHead ? { stream: answer } : {}) };
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
        // A call that is not repeated fails with its status, even where the body is lost.
        const isTold = answer.status >= 400 && !request.isRepeatable;
        if (!isTold && isCut(answer))
          throw new Error('the answer was cut off, or is not of the service');
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
