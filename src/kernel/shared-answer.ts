/**
 * At most one call of `ask` at a time and per interval: callers share a result that is younger than
 * `forMs`, counted from the start of its call. The cost does not depend on the number of callers. A
 * failure is not cached.
 */
export function sharedAnswer<T>(
  ask: () => Promise<T>,
  forMs: number,
  now: () => number = () => performance.now(),
): () => Promise<T> {
  let shared:
    | { readonly answer: Promise<T>; readonly askedAtMs: number; settled: boolean }
    | undefined;
  return () => {
    if (shared !== undefined && (!shared.settled || now() - shared.askedAtMs < forMs))
      return shared.answer;
    const asked = { answer: ask(), askedAtMs: now(), settled: false };
    shared = asked;
    asked.answer.then(
      () => {
        asked.settled = true;
      },
      () => {
        if (shared === asked) shared = undefined;
      },
    );
    return asked.answer;
  };
}
