/** Grace period in which the driver can end an operation itself, with a more specific error. */
export const DRIVER_GRACE_MS = 100;

/** The database did not answer in time; a write may have taken place. */
export class DatabaseTimeoutError extends Error {
  override readonly name = 'DatabaseTimeoutError';
}

/**
 * Bounds each function as a whole. The driver bounds server selection, the wait for a connection,
 * its handshake and the operation separately: with a slow database, their sum is several times the
 * configured limit. The operation itself is not cancelled here; its own bounds end it.
 */
export function boundCalls<T extends object>(calls: T, timeoutMs: number): T {
  const bound = Object.entries(calls).map(([name, call]: [string, unknown]) => {
    if (typeof call !== 'function') return [name, call];
    return [
      name,
      (...args: unknown[]): unknown => {
        const result: unknown = call(...args);
        return result instanceof Promise ? inTime(result, timeoutMs, name) : result;
      },
    ];
  });
  return Object.fromEntries(bound) as T;
}

/** Bounds one call. */
export function inTime<T>(work: Promise<T>, timeoutMs: number, name: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new DatabaseTimeoutError(`${name} took longer than ${timeoutMs} ms`)),
      timeoutMs,
    );
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
