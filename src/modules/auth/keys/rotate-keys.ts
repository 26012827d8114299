import { setTimeout as pause } from 'node:timers/promises';
import type { KeyReader, KeyReaders } from './key-readers';
import { type RotationRules, rulesOf } from './key-schedule';
import type { KeySetAlgorithm } from './keys';
import type { KeyStore, StoredKey } from './keystore';

/**
 * - `lead`: the next key signs after the lead. No token is affected.
 * - `now`: the next key signs as soon as every process has read it. No token is affected.
 * - `compromised`: a new key signs at once, and all others are removed, which revokes their tokens.
 */
export type RotationMode = 'lead' | 'now' | 'compromised';

export interface RotateOptions {
  readonly store: KeyStore;
  readonly readers: KeyReaders;
  readonly algorithm: KeySetAlgorithm;
  readonly rules: RotationRules;
  readonly mode: RotationMode;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  /** Called repeatedly with the processes that the rotation waits for. */
  readonly waiting?: (readers: readonly KeyReader[]) => void;
  readonly pollMs?: number;
  /**
   * Tells other services that tokens of these keys (`kid`) are over. Before the keys are removed.
   */
  readonly revoke?: (kids: readonly string[]) => Promise<void>;
}

export interface Rotation {
  readonly generation: number;
  readonly activeFrom: Date;
}

const POLL_MS = 250;
/** The most by which a process may be wrong about the database's time (platform/mongo/clock.ts). */
const CLOCK_ERROR_MS = 2500;

/** Creates or advances the next key. When it resolves, its mode is in effect in every process. */
export async function rotateKeys(options: RotateOptions): Promise<Rotation> {
  const { store, mode, now } = options;
  const last = (await store.list()).at(-1);
  if (mode === 'compromised') return replaceAll(options, last);
  const rotation = await nextKey(options, last);
  if (mode === 'lead') return rotation;
  const { generation } = rotation;
  await everyReader(options, ({ highest }) => highest >= generation);
  const activeFrom = new Date(now());
  await store.reschedule(generation, activeFrom);
  await everyReader(
    options,
    ({ highest, highestFrom }) =>
      highest > generation || (highest === generation && highestFrom <= activeFrom),
  );
  // A process whose clock is behind still signs with the key before it.
  await pause(Math.max(0, activeFrom.getTime() + CLOCK_ERROR_MS - now()));
  return { generation, activeFrom };
}

/** The key that does not sign yet, or a new one. It signs after the lead. */
async function nextKey(
  { store, algorithm, rules, mode, now }: RotateOptions,
  last: StoredKey | undefined,
): Promise<Rotation> {
  const nowMs = now();
  const leadMs = last === undefined ? 0 : rulesOf(last, rules).leadSeconds * 1000;
  if (last === undefined || last.activeFrom.getTime() <= nowMs) {
    const made = { generation: (last?.generation ?? 0) + 1, activeFrom: new Date(nowMs + leadMs) };
    // When another process has just created this generation, that key is as good.
    await store.add(made.generation, algorithm, made.activeFrom, new Date(nowMs));
    return made;
  }
  const activeFrom = new Date(
    Math.min(Math.max(nowMs, last.createdAt.getTime() + leadMs), last.activeFrom.getTime()),
  );
  if (mode === 'lead') await store.reschedule(last.generation, activeFrom);
  return { generation: last.generation, activeFrom };
}

/** Always with a new key: an intruder may also know a key that does not sign yet. */
async function replaceAll(options: RotateOptions, last: StoredKey | undefined): Promise<Rotation> {
  const { store, algorithm, now } = options;
  const activeFrom = new Date(now());
  const generation = (last?.generation ?? 0) + 1;
  await store.add(generation, algorithm, activeFrom, activeFrom);
  const removed = (await store.list()).filter((key) => key.generation < generation);
  // If this process ends in between, the tokens are refused where an intruder could use them.
  await options.revoke?.(removed.map(({ verification }) => verification.kid));
  await store.removeBelow(generation);
  await everyReader(options, ({ lowest }) => lowest >= generation);
  return { generation, activeFrom };
}

/**
 * Waits until all readers satisfy `has`. It ends: a process that does not read again accepts no
 * token once its `freshUntil` is over, and leaves the list.
 */
async function everyReader(
  { readers, waiting, pollMs = POLL_MS }: RotateOptions,
  has: (reader: KeyReader) => boolean,
): Promise<void> {
  for (;;) {
    const behind = (await readers.list()).filter((reader) => !has(reader));
    if (behind.length === 0) return;
    waiting?.(behind);
    await pause(pollMs);
  }
}
