import { ClientError } from './errors.js';

/** The time of one logical call, with its retries, reads and refreshes; and the caller's signal. */
export interface Deadline {
  readonly signal: AbortSignal;
  leftMs(): number;
  /** Throws when the call is over: aborted, or out of time. */
  check(cause?: unknown): void;
  /** Waits; throws when the call is over meanwhile. */
  sleep(ms: number): Promise<void>;
  /** Of `work`, or the end of the call. Does not end the work, which other calls may wait for. */
  race<T>(work: Promise<T>): Promise<T>;
  end(): void;
}

export function startDeadline(timeoutMs: number, outer?: AbortSignal): Deadline {
  const control = new AbortController();
  const until = performance.now() + timeoutMs;
  const abort = () => control.abort();
  const timer = setTimeout(abort, timeoutMs);
  outer?.addEventListener('abort', abort);
  if (outer?.aborted === true) abort();

  const deadline: Deadline = {
    signal: control.signal,
    leftMs: () => until - performance.now(),
    check(cause) {
      if (!control.signal.aborted) return;
      if (outer?.aborted === true)
        throw new ClientError('aborted', 'The call was aborted.', outer.reason);
      throw new ClientError('timeout', `The call took more than ${timeoutMs} ms.`, cause);
    },
    async sleep(ms) {
      let pause: ReturnType<typeof setTimeout> | undefined;
      try {
        await deadline.race(
          new Promise<void>((resolve) => {
            pause = setTimeout(resolve, ms);
          }),
        );
      } finally {
        clearTimeout(pause);
      }
    },
    async race(work) {
      // The call may be over before anything waits for it.
      work.catch(() => undefined);
      deadline.check();
      let stop = () => {};
      const ended = new Promise<undefined>((resolve) => {
        stop = () => resolve(undefined);
        control.signal.addEventListener('abort', stop);
      });
      try {
        const first = await Promise.race([work, ended]);
        deadline.check();
        return first as Awaited<typeof work>;
      } finally {
        control.signal.removeEventListener('abort', stop);
      }
    },
    end() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', abort);
    },
  };
  return deadline;
}
