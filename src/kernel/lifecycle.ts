import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';

/** Anything that holds sockets, timers or processes. */
export interface Closable {
  close(): Promise<void>;
}

export interface Lifecycle {
  /** Registers a resource; the last registered closes first. */
  own<T extends Closable>(name: string, resource: T): T;
  /**
   * Closes everything in reverse order within the deadline. Idempotent. Logs errors, never rejects.
   */
  close(): Promise<{ readonly clean: boolean }>;
}

/**
 * Ordered shutdown. Each resource gets the remaining time of `deadlineMs`. One that hangs is logged
 * and skipped, so that the next one (the database after a stuck listener) is still closed.
 */
export function createLifecycle(options: {
  deadlineMs: number;
  log: Logger;
  now?: () => number;
}): Lifecycle {
  const { deadlineMs, log, now = () => performance.now() } = options;
  const owned: { name: string; resource: Closable }[] = [];
  let closing: Promise<{ clean: boolean }> | undefined;

  async function closeAll(): Promise<{ clean: boolean }> {
    const deadline = now() + deadlineMs;
    let clean = true;
    for (const { name, resource } of owned.reverse()) {
      try {
        // At least 50 ms, even past the deadline: a database client needs a moment to disconnect.
        await withTimeout(resource.close(), Math.max(50, deadline - now()), `closing ${name}`);
      } catch (error) {
        clean = false;
        log.error({ err: error, resource: name }, 'resource not closed');
      }
    }
    return { clean };
  }

  return {
    own(name, resource) {
      owned.push({ name, resource });
      return resource;
    },
    close: () => (closing ??= closeAll()),
  };
}

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/** Rejects with TimeoutError after `timeoutMs`, without cancelling `work`. */
export async function withTimeout<T>(
  work: Promise<T>,
  timeoutMs: number,
  label: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TimeoutError(`${label} took longer than ${Math.round(timeoutMs)} ms`)),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Exponential backoff in ms, with jitter between half of the step and all of it. */
export function backoffMs(
  attempt: number,
  baseMs: number,
  maxMs: number,
  random: () => number = Math.random,
): number {
  const step = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(step / 2 + (random() * step) / 2);
}

/** `ms`, varied by a share of it either way, so that processes do not act in step. */
export const jittered = (ms: number, share = 0.25): number =>
  ms * (1 - share + 2 * share * Math.random());

/**
 * Does `work` again and again, each time after a pause, until it is closed. `close` waits for the
 * work under way, whose `signal` it aborts. Holds no process open.
 */
export function repeatedly(
  pauseMs: () => number,
  work: (signal: AbortSignal) => Promise<unknown>,
  failed: (error: unknown, signal: AbortSignal) => void,
): Closable {
  const stop = new AbortController();
  const { signal } = stop;
  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await delay(pauseMs(), undefined, { signal, ref: false });
      await work(signal).catch((error: unknown) => failed(error, signal));
    }
  }
  // Rejects only when the pause is aborted.
  const ended = loop().catch(() => undefined);
  return {
    async close() {
      stop.abort();
      await ended;
    },
  };
}
