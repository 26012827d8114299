import type { Logger } from '../platform/telemetry/logger';

export interface SignalActions {
  stop(signal: NodeJS.Signals): void;
  /** The second signal to stop: exit at once. */
  kill(signal: NodeJS.Signals): void;
  reload(): void;
  /** +1 or -1 worker. */
  scaleBy(step: number): void;
}

/** A signal that npm forwards within this time is the terminal's signal, received twice. */
const ECHO_MS = 1000;

/**
 * SIGTERM, SIGINT and SIGQUIT stop; a second one stops at once. SIGHUP reloads (with a terminal it
 * stops: the terminal was closed). SIGUSR2 and SIGTTIN add a worker, SIGTTOU removes one.
 * SIGUSR1 is Node's (inspector).
 */
export function listenToSignals(
  actions: SignalActions,
  options: { hasTerminal: boolean; forwarded: boolean; log: Logger },
): { close(): void } {
  let stopping = false;
  let lastMs = Number.NEGATIVE_INFINITY;
  const stop = (signal: NodeJS.Signals) => {
    // Ctrl-C reaches npm and this process alike, and npm forwards its own signals.
    const isEcho = options.forwarded && performance.now() - lastMs < ECHO_MS;
    lastMs = performance.now();
    if (isEcho) return;
    options.log.info(
      { signal },
      stopping ? `received ${signal} again, exiting at once` : `received ${signal}, shutting down`,
    );
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
