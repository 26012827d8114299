import type { EventLog } from './event-log';

/**
 * Whether the log has every event after this one: none of them has expired, and the log is not a
 * restored one, which ends before it.
 */
export async function hasAllAfter(
  eventLog: Pick<EventLog, 'oldest' | 'reached'>,
  after: number,
): Promise<boolean> {
  if (after < (await eventLog.oldest()) - 1) return false;
  return after <= (await eventLog.reached());
}
