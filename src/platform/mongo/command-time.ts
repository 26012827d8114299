import { DatabaseTimeoutError } from './bounded';
import { isBefore } from './expressions';

/** The time in which one command may take effect. */
export interface CommandTime {
  /**
   * A filter: what was held up on its way does nothing once its caller has been told that it
   * failed, so it cannot undo what was acknowledged since (docs/adr/0011-one-deadline.md).
   */
  readonly inTime: { readonly $expr: object };
  /** Throws where nothing was found because the command came too late. */
  assertInTime(): void;
}

/** `now`: the database's time. */
export function commandTime(now: () => number, timeoutMs: number): CommandTime {
  const until = new Date(now() + timeoutMs);
  return {
    inTime: { $expr: isBefore(until) },
    assertInTime() {
      if (now() >= until.getTime()) throw new DatabaseTimeoutError('a command came too late');
    },
  };
}
