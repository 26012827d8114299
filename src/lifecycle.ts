import type { Logger } from './observability/logger';

/** Anything that holds sockets, timers or processes. */
export interface Closable {
  close(): Promise<void>;
}

export interface Lifecycle {
  /** Registers a resource; the last registered closes first. */
  own<T extends Closable>(name: string, resource: T): T;
  /** Closes everything in reverse order within the deadline. Safe to call twice. Never rejects: faults are logged. */
  close(): Promise<{ readonly clean: boolean }>;
}

/**
 * Ordered shutdown. Each resource gets what is left of `deadlineMs`; one that hangs is logged and left behind, so
 * that the next (say, the database after a stuck listener) still gets its turn.
 */
export function createLifecycle(options: { deadlineMs: number; log: Logger; now?: () => number }): Lifecycle {
  const { deadlineMs, log, now = () => performance.now() } = options;
  const owned: { name: string; resource: Closable }[] = [];
  let closing: Promise<{ clean: boolean }> | undefined;

  async function closeAll(): Promise<{ clean: boolean }> {
    const deadline = now() + deadlineMs;
    let clean = true;
    for (const { name, resource } of owned.reverse()) {
      try {
        // A floor of 50 ms: even past the deadline a store gets the moment it needs to send its goodbye.
        await withTimeout(resource.close(), Math.max(50, deadline - now()), `closing ${name}`);
      } catch (error) {
        clean = false;
        log.error({ err: error, resource: name }, 'a resource did not close');
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

/** Rejects with TimeoutError when `work` takes longer than `timeoutMs`. The work itself is not cancelled. */
export async function withTimeout<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(`${what} took longer than ${Math.round(timeoutMs)} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Exponential back-off with full jitter (AWS architecture blog, 2015): between half and all of the step, in ms. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: () => number = Math.random): number {
  const step = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(step / 2 + (random() * step) / 2);
}
