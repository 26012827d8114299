/**
 * The state of each stored key, as a pure function of the keys and the clock. No state is stored
 * when a key changes its role, so hosts disagree only by the difference of their clocks, which the
 * lead covers.
 */
export interface ScheduledKey {
  /** Increases by one; unique in the database. */
  readonly generation: number;
  readonly alg: string;
  readonly createdAt: Date;
  /** When it starts to sign. It is published earlier, so that every verifier has it in time. */
  readonly activeFrom: Date;
  /**
   * The maximum of the rules of all processes since this key was created: tokens and copies of the
   * key set from that time are still in use.
   */
  readonly held?: HeldRules | undefined;
}

export type KeyState = 'next' | 'active' | 'retiring' | 'gone';

export interface RotationRules {
  /** The age at which the next key replaces it. */
  readonly rotationSeconds: number;
  /** How long a key is published before it signs; longer than verifiers keep a key set. */
  readonly leadSeconds: number;
  /** How long a key verifies after it has stopped signing: token lifetime plus clock leeway. */
  readonly retireSeconds: number;
}

export type HeldRules = Pick<RotationRules, 'leadSeconds' | 'retireSeconds'>;

/** The rules for this key. A lowered setting takes effect with the next key. */
export const rulesOf = ({ held }: Pick<ScheduledKey, 'held'>, rules: HeldRules): HeldRules => ({
  leadSeconds: Math.max(rules.leadSeconds, held?.leadSeconds ?? 0),
  retireSeconds: Math.max(rules.retireSeconds, held?.retireSeconds ?? 0),
});

const ms = (date: Date) => date.getTime();

/** `keys` are in the order of their generations. The oldest signs when no key is due yet. */
export function activeIndex(keys: readonly ScheduledKey[], nowMs: number): number {
  return Math.max(
    0,
    keys.findLastIndex((key) => ms(key.activeFrom) <= nowMs),
  );
}

export function keyState(
  keys: readonly ScheduledKey[],
  index: number,
  nowMs: number,
  rules: RotationRules,
): KeyState {
  const active = activeIndex(keys, nowMs);
  if (index > active) return 'next';
  if (index === active) return 'active';
  const [key, successor] = [keys[index], keys[index + 1]];
  if (key === undefined || successor === undefined) return 'retiring';
  return ms(successor.activeFrom) + rulesOf(key, rules).retireSeconds * 1000 <= nowMs
    ? 'gone'
    : 'retiring';
}

export interface PlannedKey {
  readonly generation: number;
  readonly activeFrom: Date;
}

/** The key that is to be created now, if any. */
export function plannedKey(
  keys: readonly ScheduledKey[],
  alg: string,
  nowMs: number,
  rules: RotationRules,
): PlannedKey | undefined {
  const last = keys.at(-1);
  if (last === undefined) return { generation: 1, activeFrom: new Date(nowMs) };
  if (ms(last.activeFrom) > nowMs) return undefined;
  const earliestMs = nowMs + rulesOf(last, rules).leadSeconds * 1000;
  if (last.alg !== alg)
    return { generation: last.generation + 1, activeFrom: new Date(earliestMs) };
  const dueMs = ms(last.activeFrom) + rules.rotationSeconds * 1000;
  return dueMs <= earliestMs
    ? { generation: last.generation + 1, activeFrom: new Date(earliestMs) }
    : undefined;
}
