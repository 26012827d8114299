/** No answer of the database in time; whether a write took place is unknown. */
export class DatabaseTimeoutError extends Error {
  override readonly name = 'DatabaseTimeoutError';
}

/**
 * The same functions, each bounded as a whole. The driver bounds the choice of a server, the wait for a connection, its
 * handshake and the operation one by one: against a database that is slow rather than away, their sum is several times
 * the limit that an operator has set. The operation itself is not cancelled here; its own bounds end it.
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

function inTime<T>(work: Promise<T>, timeoutMs: number, name: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new DatabaseTimeoutError(`${name} took longer than ${timeoutMs} ms`)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
