/**
 * Iterates over a Map's entries, the oldest first, again and again, also while entries are deleted
 * and added. One long-lived iterator: a new one would have to skip the slots of deleted entries at
 * the front. The Map must not be empty.
 */
export function* oldestFirst<K, V>(map: ReadonlyMap<K, V>): Generator<[K, V], never> {
  for (;;) yield* map;
}
