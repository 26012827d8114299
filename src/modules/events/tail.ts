import { setTimeout as delay } from 'node:timers/promises';
import type { EventLog } from '../../platform/event-log/event-log';

/** Waits for events, for all readers of this process together. */
export interface Tail {
  /** Resolves with whether an event after this sequence is there, after `waitMs` at the latest. */
  hasAfter(after: number, waitMs: number): Promise<boolean>;
}

const POLL_MS = 50;
/** After something new was found. */
const BUSY_POLL_MS = 10;
const BUSY_MS = 500;

export function createTail(eventLog: Pick<EventLog, 'latest'>): Tail {
  let looking: Promise<number> | undefined;
  let last = 0;
  let movedMs = Number.NEGATIVE_INFINITY;

  async function look(): Promise<number> {
    await delay(performance.now() - movedMs < BUSY_MS ? BUSY_POLL_MS : POLL_MS);
    const latest = await eventLog.latest();
    if (latest > last) movedMs = performance.now();
    last = latest;
    return latest;
  }

  /** One look at a time, a pause after the one before. */
  function nextLook(): Promise<number> {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  }

  return {
    async hasAfter(after, waitMs) {
      const endMs = performance.now() + waitMs;
      while (performance.now() < endMs) if ((await nextLook()) > after) return true;
      return false;
    },
  };
}
