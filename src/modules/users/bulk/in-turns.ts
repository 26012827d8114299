import { setImmediate as nextTurn } from 'node:timers/promises';

/** Of one turn of the event loop: requests wait for no longer. */
const TURN_MS = 2;

/** As `items.map(map)`, over as many turns of the event loop as it takes. */
export async function mapInTurns<T, R>(items: readonly T[], map: (item: T) => R): Promise<R[]> {
  const results: R[] = [];
  let began = performance.now();
  for (const item of items) {
    results.push(map(item));
    if (performance.now() - began < TURN_MS) continue;
    await nextTurn();
    began = performance.now();
  }
  return results;
}
