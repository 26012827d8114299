import type { Logger } from '../../../platform/telemetry/logger';
import { type HeldRules, keyState, plannedKey, type RotationRules, rulesOf } from './key-schedule';
import type { KeySetAlgorithm } from './keys';
import type { KeyStore, StoredKey } from './keystore';

export interface MaintainOptions {
  readonly store: KeyStore;
  readonly algorithm: KeySetAlgorithm;
  readonly rules: RotationRules;
  readonly log: Logger;
  /** Called when this process has made the next key on schedule. */
  readonly made?: () => void;
  /** The database's time, ms since the epoch: hosts must agree on the schedule. */
  readonly now: () => number;
}

/** Reads the key set. First makes the next key if it is due, and removes retired ones. */
export async function readAndMaintain(options: MaintainOptions): Promise<readonly StoredKey[]> {
  const { store, rules, now } = options;
  let keys = await addPlannedKey(options, await store.list());
  if (keys.some((key) => isLess(key.held, rulesOf(key, rules)))) {
    // Stored before this process signs anything under these rules.
    await store.hold(rules);
    keys = await store.list();
  }
  const kept = keys.filter((_, index) => keyState(keys, index, now(), rules) !== 'gone');
  const oldest = kept[0];
  if (oldest === undefined) throw new Error('there is no signing key');
  if (kept.length < keys.length) await store.removeBelow(oldest.generation);
  return kept;
}

async function addPlannedKey(
  { store, algorithm, rules, log, made, now }: MaintainOptions,
  present: readonly StoredKey[],
): Promise<readonly StoredKey[]> {
  const planned = plannedKey(present, algorithm, now(), rules);
  if (planned === undefined) return present;
  const { generation, activeFrom } = planned;
  // False when another process has made that generation.
  const isAdded = await store.add(generation, algorithm, activeFrom, new Date(now()));
  const keys = await store.list();
  if (isAdded) {
    made?.();
    log.info({ generation, kid: keys.at(-1)?.verification.kid, activeFrom }, 'signing key created');
  }
  return keys;
}

const isLess = (held: HeldRules | undefined, wanted: HeldRules) =>
  held === undefined ||
  held.leadSeconds < wanted.leadSeconds ||
  held.retireSeconds < wanted.retireSeconds;
