const PROBE_MS = 250;

interface ProbeOptions {
  readonly commandTimeoutMs: number;
  readonly now: () => number;
  /** Asks Redis for its identity; undefined while there is no connection. */
  ask(): Promise<unknown> | undefined;
  /** The answer to the last question has not come in time. */
  overdue(): void;
}

/**
 * Asks which server answers. This opens the breaker's circuit at the start and closes it again, and
 * notices that a master was demoted.
 */
export function createProbe({ ask, overdue, commandTimeoutMs, now }: ProbeOptions) {
  let timer: NodeJS.Timeout | undefined;
  let askedAt: number | undefined;
  let stopped = false;

  function schedule(delayMs: number): void {
    if (stopped) return;
    clearTimeout(timer);
    timer = setTimeout(run, delayMs);
  }

  function run(): void {
    schedule(PROBE_MS);
    if (askedAt !== undefined) {
      if (now() - askedAt > commandTimeoutMs + PROBE_MS) overdue();
      return;
    }
    const answer = ask();
    if (answer === undefined) return;
    askedAt = now();
    answer.finally(() => {
      askedAt = undefined;
    });
  }

  return {
    schedule,
    stop(): void {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
