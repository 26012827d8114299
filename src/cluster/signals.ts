import type { Logger } from '../observability/logger';

export interface SignalActions {
  stop(signal: NodeJS.Signals): void;
  /** The second signal to stop: at once. */
  kill(signal: NodeJS.Signals): void;
  reload(): void;
  /** +1 or -1 worker. */
  scaleBy(step: number): void;
}

/**
 * SIGTERM, SIGINT, SIGQUIT stop, a second one stops at once; SIGHUP reloads (with a terminal it stops: the terminal was
 * closed); SIGUSR2 and SIGTTIN add a worker, SIGTTOU takes one away. SIGUSR1 is Node's (inspector).
 */
export function listenToSignals(actions: SignalActions, options: { hasTerminal: boolean; log: Logger }): { close(): void } {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    options.log.info({ signal }, stopping ? 'a second signal: stopping at once' : 'stopping');
    if (stopping) return actions.kill(signal);
    stopping = true;
    actions.stop(signal);
  };
  const handlers: Partial<Record<NodeJS.Signals, (signal: NodeJS.Signals) => void>> = {
    SIGTERM: stop,
    SIGINT: stop,
    SIGQUIT: stop,
    SIGHUP: options.hasTerminal ? stop : () => actions.reload(),
    SIGUSR2: () => actions.scaleBy(1),
    SIGTTIN: () => actions.scaleBy(1),
    SIGTTOU: () => actions.scaleBy(-1),
  };
  const entries = Object.entries(handlers) as [NodeJS.Signals, (signal: NodeJS.Signals) => void][];
  for (const [signal, handler] of entries) process.on(signal, handler);
  return {
    close() {
      for (const [signal, handler] of entries) process.removeListener(signal, handler);
    },
  };
}
