import { executionAsyncResource } from 'node:async_hooks';

const kept: object[] = [];

/**
 * Keeps `process.nextTick` fast for the life of the process; to call once, early.
 *
 * Node makes an object per tick, from a literal with computed keys. V8 optimizes that literal for
 * one hidden class, which it references weakly: a garbage collection at a moment without such
 * objects removes the class, and from then on every tick takes V8's slow path: 0.8 µs instead of
 * 0.15 µs, and a short response takes seven (Node 20 and 24, docs/adr/0053-tick-objects.md). One
 * living object keeps the class.
 */
export function keepTickObject(): void {
  process.nextTick(() => kept.push(executionAsyncResource()));
}
