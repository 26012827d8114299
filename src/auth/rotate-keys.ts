import type { RotationRules } from './key-schedule';
import type { KeySetAlgorithm } from './keys';
import type { KeyStore } from './keystore';

/**
 * `lead`: the next key signs after the lead, and nobody notices. `now`: it signs at once; workers that have not looked
 * yet refuse its tokens until they do. `compromised`: it signs at once and all others are forgotten with their tokens.
 */
export type RotationMode = 'lead' | 'now' | 'compromised';

export interface RotateOptions {
  readonly store: KeyStore;
  readonly algorithm: KeySetAlgorithm;
  readonly rules: RotationRules;
  readonly mode: RotationMode;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
}

/** Makes or hurries the next key. Resolves with its generation and when it signs. */
export async function rotateKeys({ store, algorithm, rules, mode, now }: RotateOptions): Promise<{ generation: number; activeFrom: Date }> {
  const nowMs = now();
  const last = (await store.list()).at(-1);
  const waiting = last !== undefined && last.activeFrom.getTime() > nowMs;
  // Known to an intruder or not: a key that was already waiting is no replacement for a compromised set.
  if (waiting && mode !== 'compromised') {
    const earliestMs = mode === 'now' ? nowMs : Math.max(nowMs, last.createdAt.getTime() + rules.leadSeconds * 1000);
    const activeFrom = new Date(Math.min(earliestMs, last.activeFrom.getTime()));
    await store.reschedule(last.generation, activeFrom);
    return { generation: last.generation, activeFrom };
  }
  const generation = (last?.generation ?? 0) + 1;
  const activeFrom = new Date(mode === 'lead' && last !== undefined ? nowMs + rules.leadSeconds * 1000 : nowMs);
  // Another process has just made it: that one is as new.
  await store.add(generation, algorithm, activeFrom, new Date(nowMs));
  if (mode === 'compromised') await store.removeBelow(generation);
  return { generation, activeFrom };
}
