/**
 * Consecutive turns over the budget are overload after this time. Shorter ones come from a cold
 * start or a garbage collection.
 */
const OVERLOAD_AFTER_MS = 300;
/**
 * The same in the first seconds of the process, while V8 compiles its code and other workers may
 * start.
 */
const OVERLOAD_AFTER_MS_AT_START = 1000;
const START_MS = 10_000;
/** The first requests of a turn are always served: they are some ms of work. */
const ALWAYS_SERVED_PER_TURN = 8;

/**
 * Creates a function that is called for each request and tells whether it comes too late in a long
 * turn of the event loop.
 */
export function createLateTurns(budgetMs: number, now: () => number): () => boolean {
  let longSinceMs: number | undefined;
  let turnStartedMs: number | undefined;
  let firstTurnMs: number | undefined;
  let inTurn = 0;

  const endTurn = () => {
    const isLong = turnStartedMs !== undefined && now() - turnStartedMs > budgetMs;
    // Starts with the end of the first long turn: the requests that waited for that turn are
    // served.
    longSinceMs = isLong ? (longSinceMs ?? now()) : undefined;
    turnStartedMs = undefined;
  };

  return () => {
    if (turnStartedMs === undefined) {
      turnStartedMs = now();
      firstTurnMs ??= turnStartedMs;
      inTurn = 1;
      setImmediate(endTurn);
      return false;
    }
    if (++inTurn <= ALWAYS_SERVED_PER_TURN) return false;
    const overloadAfterMs =
      turnStartedMs - (firstTurnMs ?? turnStartedMs) < START_MS
        ? OVERLOAD_AFTER_MS_AT_START
        : OVERLOAD_AFTER_MS;
    if (longSinceMs === undefined || turnStartedMs - longSinceMs < overloadAfterMs) return false;
    return now() - turnStartedMs > budgetMs;
  };
}
