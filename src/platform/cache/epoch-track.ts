import type { Logger } from '../telemetry/logger';
import type { EpochState } from './epoch-store';

/** The state of one key prefix as this process knows it, and since when. */
export interface EpochTrack {
  readonly state: EpochState;
  /** When this process first knew of the suspension that `state` shows. */
  readonly suspendedSince: number;
  /** When this process first knew of the beat that `state` shows. */
  readonly beatSince: number;
}

/** Reads may overtake each other; only a later state replaces an earlier one. */
function isOlder(seen: EpochState, known: EpochState): boolean {
  if (seen.epoch !== known.epoch) return seen.epoch < known.epoch;
  return seen.beat < known.beat || (known.suspended && !seen.suspended);
}

export function advance(before: EpochTrack | undefined, seen: EpochState, at: number): EpochTrack {
  if (before !== undefined && isOlder(seen, before.state)) return before;
  const sameEpoch = before?.state.epoch === seen.epoch;
  return {
    state: seen,
    suspendedSince: sameEpoch && before.state.suspended ? before.suspendedSince : at,
    beatSince: sameEpoch && before.state.beat === seen.beat ? before.beatSince : at,
  };
}

export function logChange(log: Logger, before: EpochState | undefined, after: EpochState): void {
  const wasSuspended = before?.suspended === true;
  if (after.suspended && !(wasSuspended && before.epoch === after.epoch))
    log.warn({ epoch: after.epoch }, 'cache disabled, reading from MongoDB');
  if (wasSuspended && !after.suspended) log.info({ epoch: after.epoch }, 'cache enabled');
}
