import { Gauge } from 'prom-client';
import type { Closable } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import type { DatabaseClock } from './clock';

export interface ClockState {
  /**
   * `degraded`: this host's clock is off by more than the leeway. The service uses the database's
   * time and goes on.
   */
  readonly status: 'ok' | 'degraded';
  /** How far this host's clock is ahead of the database's. */
  readonly offset_ms: number;
}

export interface ClockWatch extends Closable {
  state(): ClockState;
}

export interface ClockWatchOptions {
  readonly clock: DatabaseClock;
  readonly leewaySeconds: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly everyMs?: number;
}

/** A slow connection can appear as a smaller offset than this. */
const LEAST_MS = 1000;

/**
 * Logs when this host's clock and the database's diverge, and when they agree again. Without I/O of
 * its own: it reads the clock's last measurement.
 */
export function watchClock({
  clock,
  leewaySeconds,
  log,
  metrics,
  everyMs = 1000,
}: ClockWatchOptions): ClockWatch {
  const limitMs = Math.max(LEAST_MS, leewaySeconds * 1000);
  let last: ClockState['status'] = 'ok';

  function state(): ClockState {
    const offsetMs = clock.offsetMs();
    return { status: Math.abs(offsetMs) > limitMs ? 'degraded' : 'ok', offset_ms: offsetMs };
  }

  function look(): void {
    const { status, offset_ms: offsetMs } = state();
    if (status === last) return;
    last = status;
    if (status === 'ok')
      log.info({ offsetMs }, "this host's clock agrees with the database's again");
    else
      log.warn(
        { offsetMs, limitMs },
        `this host's clock is ${describe(offsetMs)} the database's; the database's time is used`,
      );
  }

  new Gauge({
    name: 'clock_offset_seconds',
    help: "How far this host's clock is ahead of the database's.",
    registers: [metrics],
    // All workers of a host share one clock.
    aggregator: 'first',
    collect() {
      this.set(clock.offsetMs() / 1000);
    },
  });
  look();
  const timer = setInterval(look, everyMs);
  timer.unref();
  return {
    state,
    async close() {
      clearInterval(timer);
    },
  };
}

const describe = (offsetMs: number): string =>
  `${(Math.abs(offsetMs) / 1000).toFixed(1)} s ${offsetMs > 0 ? 'ahead of' : 'behind'}`;
