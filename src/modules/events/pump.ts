import type { Closable } from '../../kernel/lifecycle';
import type { EventLog } from '../../platform/event-log/event-log';
import { BATCH, type Mover } from '../../platform/event-log/mover';
import type { Traffic } from '../../platform/http/traffic';
import type { Locks } from '../../platform/mongo/locks';
import { inTurns, type Turn } from '../../platform/mongo/turns';
import type { Logger } from '../../platform/telemetry/logger';

export interface PumpOptions {
  readonly mover: Mover;
  /** Whether a round would find anything. */
  readonly anyPending: () => Promise<boolean>;
  readonly eventLog: EventLog;
  readonly locks: Pick<Locks, 'withLock'>;
  readonly log: Logger;
  readonly keepMs: number;
  readonly restMs: Traffic['restMs'];
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
}

/** A holder that died is replaced after this time. Longer than a turn. */
export const PUMP_LEASE_MS = 3000;
/** Between two looks for events, while there are none. */
const POLL_MS = 150;
/** Pause between two rounds while there are events: those written meanwhile share one round. */
const BUSY_POLL_MS = 80;
const BUSY_MS = 500;
/** After a whole batch, as long as it took: where there is a backlog, requests come first. */
const RESTS = 1;
const PURGE_EVERY_MS = 60_000;
/** In one turn. Where there are more, the next turn goes on. */
const PURGE_MAX = 5000;

/**
 * Moves events to the log, in one process of the deployment at a time. The lock only saves work:
 * two that work at once do no harm (docs/adr/0038-events.md).
 */
export function startPump(options: PumpOptions): Closable {
  const { mover, anyPending, eventLog, locks, log, keepMs, restMs, now } = options;
  let purgedMs = Number.NEGATIVE_INFINITY;
  let isHolder = false;
  let foundMs = Number.NEGATIVE_INFINITY;

  async function purge(): Promise<void> {
    if (performance.now() - purgedMs < PURGE_EVERY_MS) return;
    purgedMs = performance.now();
    const removed = await eventLog.removeBefore(new Date(now() - keepMs), PURGE_MAX);
    if (removed >= PURGE_MAX) purgedMs = Number.NEGATIVE_INFINITY;
    if (removed > 0) log.info({ removed }, 'old events removed');
  }

  /** Until the next round; `moved`: how many events the last one moved, in `tookMs`. */
  function pauseMs(moved: number, tookMs: number): number {
    // Of a whole batch: there may be more.
    if (moved >= BATCH) return restMs(tookMs, RESTS);
    return performance.now() - foundMs < BUSY_MS ? BUSY_POLL_MS : POLL_MS;
  }

  async function work({ isOver, pause }: Turn): Promise<void> {
    if (!isHolder) log.info('event pump lock acquired');
    isHolder = true;
    let moved = 0;
    while (!isOver()) {
      const began = performance.now();
      // Where there were some, there are likely more.
      moved = moved > 0 || (await anyPending()) ? await mover.round() : 0;
      if (moved > 0) foundMs = performance.now();
      await pause(pauseMs(moved, performance.now() - began));
    }
    await purge();
  }

  return inTurns({
    ...{ name: 'event-pump', locks, work },
    waiting: () => {
      isHolder = false;
    },
    failed: (error) => {
      isHolder = false;
      log.warn({ err: error }, 'events not moved to the log');
    },
  });
}
