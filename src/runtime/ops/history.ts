import type { Snapshot } from '../metrics/metrics-files';
import { type Point, pointOf, type Reading, read } from './readings';

export interface History {
  points(): readonly Point[];
  latest(): Reading | undefined;
  /** Samples more often while the page is open; at once, where the last sample is old. */
  watch(isWatched: boolean): void;
  close(): void;
}

export interface HistoryOptions {
  readonly collect: () => Promise<Snapshot>;
  readonly onPoint: (point: Point, reading: Reading) => void;
  /** Sample also while nobody watches, so that the last hour is there when the page opens. */
  readonly always: boolean;
  readonly now?: () => number;
}

/** A sample costs each worker some 20 to 50 ms: it gathers all its metrics. */
const WATCHED_EVERY_MS = 15_000;
const UNWATCHED_EVERY_MS = 20_000;
const HISTORY_MS = 3_600_000;
/** However often pages are opened and closed, samples lie this far apart. */
const FRESH_MS = 5000;

/** Of the oldest point. By their number too: the clock of the host may be set back. */
const isOver = (points: readonly Point[], nowMs: number): boolean =>
  points.length > HISTORY_MS / WATCHED_EVERY_MS ||
  (points[0]?.at ?? Infinity) < (nowMs - HISTORY_MS) / 1000;

/** The last hour, in memory: at most 240 points of 13 numbers. */
export function createHistory(options: HistoryOptions): History {
  const { collect, onPoint, always, now = Date.now } = options;
  const points: Point[] = [];
  let latest: Reading | undefined;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let isWatched = false;
  let isClosed = false;
  let isSampling = false;

  async function sample(): Promise<void> {
    if (isSampling) return;
    isSampling = true;
    try {
      const reading = read(await collect(), now());
      if (latest !== undefined) {
        const point = pointOf(latest, reading);
        points.push(point);
        while (isOver(points, reading.atMs)) points.shift();
        onPoint(point, reading);
      }
      latest = reading;
    } catch {
      // The next sample tries again; the gap shows in the chart.
    } finally {
      isSampling = false;
      triedAtMs = now();
      schedule();
    }
  }

  /** Counts from the last sample: opening and closing pages must not delay the next one. */
  function schedule(): void {
    clearTimeout(timer);
    if (isClosed || (!isWatched && !always)) return;
    const everyMs = isWatched ? WATCHED_EVERY_MS : UNWATCHED_EVERY_MS;
    const leftMs = triedAtMs + everyMs - now();
    timer = setTimeout(sample, Math.min(everyMs, Math.max(0, leftMs))).unref();
  }

  if (always) void sample();
  return {
    points: () => points,
    latest: () => latest,
    watch(watched) {
      if (isWatched === watched) return;
      isWatched = watched;
      if (watched && Math.abs(now() - triedAtMs) >= FRESH_MS) void sample();
      else schedule();
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
