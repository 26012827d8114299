/**
 * The deadline of one write. After it no attempt begins, and every command that is sent before has
 * the remaining time as its limit (docs/adr/0011-one-deadline.md).
 */
export interface Deadline {
  /** 0 when the deadline has passed. */
  leftMs(): number;
  /** A later deadline, by the time that was spent outside the database. */
  extendedBy(ms: number): Deadline;
}

export type StartDeadline = () => Deadline;

const endingAt = (endsAt: number, now: () => number): Deadline => ({
  leftMs: () => Math.max(0, endsAt - now()),
  extendedBy: (ms) => endingAt(endsAt + ms, now),
});

/** `now`: a monotonic clock in ms. */
export const createDeadlines =
  (timeoutMs: number, now: () => number = () => performance.now()): StartDeadline =>
  () =>
    endingAt(now() + timeoutMs, now);
