import { Counter, Histogram } from 'prom-client';
import type { NewEvent } from '../../platform/event-log/event-log';
import type { Metrics } from '../../platform/telemetry/metrics';

/** Of events that this process moved to the log. `now`: the database's time. */
export function measureMoves(
  metrics: Metrics,
  now: () => number,
): (events: readonly NewEvent[]) => void {
  const registers = [metrics];
  const moved = new Counter({
    name: 'events_moved_total',
    help: 'Events that were moved to the event log.',
    registers,
  });
  const lag = new Histogram({
    name: 'events_lag_seconds',
    help: 'Time from the change of a user until its event was in the event log.',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  return (events) => {
    moved.inc(events.length);
    const nowMs = now();
    for (const { at } of events) lag.observe(Math.max(0, nowMs - at.getTime()) / 1000);
  };
}
