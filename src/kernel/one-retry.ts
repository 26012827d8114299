import { setTimeout as pause } from 'node:timers/promises';

interface RetryOptions {
  /** Default: every error is retried. */
  readonly isRetried?: (error: unknown) => boolean;
  /** Before the second attempt. */
  readonly pauseMs?: number;
}

/** `run`, and once more after a failure. */
export async function withOneRetry<T>(
  run: () => Promise<T>,
  { isRetried = () => true, pauseMs }: RetryOptions,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isRetried(error)) throw error;
    if (pauseMs !== undefined) await pause(pauseMs);
    return run();
  }
}
