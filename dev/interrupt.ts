/** Ctrl-C reaches npm and this process alike, and npm forwards its own signals. */
const ECHO_MS = 500;

export type Interrupt = 'SIGINT' | 'SIGTERM';

/** Calls `first` at the first signal to end, `again` at each further one that is no echo of it. */
export function onInterrupt(first: (signal: Interrupt) => void, again: () => void): void {
  let lastMs: number | undefined;
  const heard = (signal: Interrupt) => {
    const sinceMs = lastMs === undefined ? undefined : performance.now() - lastMs;
    lastMs = performance.now();
    if (sinceMs === undefined) first(signal);
    else if (sinceMs >= ECHO_MS) again();
  };
  process.on('SIGINT', heard).on('SIGTERM', heard);
}
