import { Counter } from 'prom-client';
import type { Metrics } from '../telemetry/metrics';

/** How much this process is asked, so that its background work can give way to requests. */
export interface Traffic {
  /** Of each answered request: a number, and no clock. */
  count(): void;
  /**
   * How long background work rests that took so long: `times` as long while requests are answered,
   * otherwise 0.
   */
  restMs(tookMs: number, times: number): number;
}

const WINDOW_MS = 1000;
/** Answers a second. Probes, and pages that poll a job, are fewer. */
const BUSY_FROM = 10;
const REST_MAX_MS = 2000;

export function createTraffic(metrics: Metrics, now = () => performance.now()): Traffic {
  const rested = new Counter({
    name: 'background_rest_seconds_total',
    help: 'Time that imports and moves of events have rested because requests were answered.',
    registers: [metrics],
  });
  let sinceMs = now();
  let answered = 0;
  let isBusy = false;

  /** The rate of the last window, or of the time since somebody asked, which may be longer. */
  function look(): void {
    const elapsedMs = now() - sinceMs;
    if (elapsedMs < WINDOW_MS) return;
    isBusy = (answered * 1000) / elapsedMs >= BUSY_FROM;
    sinceMs += elapsedMs;
    answered = 0;
  }

  return {
    count() {
      answered += 1;
    },
    restMs(tookMs, times) {
      look();
      if (!isBusy) return 0;
      const ms = Math.min(tookMs * times, REST_MAX_MS);
      rested.inc(ms / 1000);
      return ms;
    },
  };
}
