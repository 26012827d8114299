/**
 * Which stored key is what, as a pure function of the keys and the clock: no state is written when a key changes its
 * part, so nothing can disagree between hosts except by the difference of their clocks, which the lead covers.
 */
export interface ScheduledKey {
  /** Counts up by one; the database holds each number once. */
  readonly generation: number;
  readonly alg: string;
  readonly createdAt: Date;
  /** When it starts to sign. Until then it is published, so that every verifier has it in time. */
  readonly activeFrom: Date;
}

export type KeyState = 'next' | 'active' | 'retiring' | 'gone';

export interface RotationRules {
  /** Age at which the next key takes over. */
  readonly rotationSeconds: number;
  /** How long a key is known before it signs: longer than any verifier keeps an old key set. */
  readonly leadSeconds: number;
  /** How long a key verifies after it has stopped signing: the life of a token and the leeway of clocks. */
  readonly retireSeconds: number;
}

const ms = (date: Date) => date.getTime();

/** `keys` in the order of their generations. Where clocks differ so much that none is due, the oldest signs. */
export function activeIndex(keys: readonly ScheduledKey[], nowMs: number): number {
  return Math.max(
    0,
    keys.findLastIndex((key) => ms(key.activeFrom) <= nowMs),
  );
}

export function keyState(keys: readonly ScheduledKey[], index: number, nowMs: number, rules: RotationRules): KeyState {
  const active = activeIndex(keys, nowMs);
  if (index > active) return 'next';
  if (index === active) return 'active';
  const successor = keys[index + 1];
  return successor !== undefined && ms(successor.activeFrom) + rules.retireSeconds * 1000 <= nowMs ? 'gone' : 'retiring';
}

export interface PlannedKey {
  readonly generation: number;
  readonly activeFrom: Date;
}

/** The key that should be made now, if any. */
export function plannedKey(keys: readonly ScheduledKey[], alg: string, nowMs: number, rules: RotationRules): PlannedKey | undefined {
  const last = keys.at(-1);
  if (last === undefined) return { generation: 1, activeFrom: new Date(nowMs) };
  if (ms(last.activeFrom) > nowMs) return undefined;
  const earliestMs = nowMs + rules.leadSeconds * 1000;
  if (last.alg !== alg) return { generation: last.generation + 1, activeFrom: new Date(earliestMs) };
  const dueMs = ms(last.activeFrom) + rules.rotationSeconds * 1000;
  return dueMs <= earliestMs ? { generation: last.generation + 1, activeFrom: new Date(earliestMs) } : undefined;
}
