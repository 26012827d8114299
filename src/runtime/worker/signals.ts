/**
 * The first signal calls `callback`. The second one gets Node's default handling, which ends the
 * process at once.
 */
export function onFirstSignal(callback: (signal: NodeJS.Signals) => void): void {
  const signals = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
  const handle = (signal: NodeJS.Signals) => {
    for (const each of signals) process.removeListener(each, handle);
    callback(signal);
  };
  for (const signal of signals) process.on(signal, handle);
  // A closed terminal does not end the service. With a primary, SIGHUP means reload, and the
  // primary handles it.
  process.on('SIGHUP', () => {});
}
