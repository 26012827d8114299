import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { type Closable, jittered, withTimeout } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';

/**
 * The database's time. All hosts share it, even when their own clocks are wrong
 * (docs/adr/0010-clocks.md).
 */
export interface DatabaseClock extends Closable {
  /** Whole ms since the epoch. No I/O. */
  now(): number;
  /** How far this host's clock is ahead of the database's, in ms; negative when it is behind. */
  offsetMs(): number;
}

export interface ClockOptions {
  /** Asks the database for its time, in ms since the epoch. */
  readonly ask: () => Promise<number>;
  readonly log: Logger;
  /** Longest wait for one answer. */
  readonly timeoutMs: number;
  readonly monotonic?: () => number;
  readonly wall?: () => number;
  readonly measureMs?: number;
  readonly lookMs?: number;
}

const MEASURE_MS = 10_000;
/** Interval of comparing the host's own clocks, which needs no I/O. */
const LOOK_MS = 1000;
/**
 * A larger change between the host's clocks means that the wall clock was set or that the machine
 * slept: the offset is measured again at once.
 */
const JUMP_MS = 500;
const SAMPLES = 3;
/** A slower answer would be too inexact. */
const TIMEOUT_MAX_MS = 5000;

/**
 * Measures the offset between the monotonic clock and the database's time, as NTP does: the error
 * of a measurement is at most half of the round trip. Rejects when the database does not answer.
 */
export async function startClock(options: ClockOptions): Promise<DatabaseClock> {
  const {
    ask,
    log,
    timeoutMs,
    monotonic = () => performance.now(),
    wall = Date.now,
    measureMs = MEASURE_MS,
    lookMs = LOOK_MS,
  } = options;
  const stop = new AbortController();

  async function sample() {
    const began = monotonic();
    const databaseMs = await withTimeout(
      ask(),
      Math.min(timeoutMs, TIMEOUT_MAX_MS),
      'reading the time of the database',
    );
    const tookMs = monotonic() - began;
    // The answer is truncated to whole ms.
    return { baseMs: databaseMs + 0.5 - began - tookMs / 2, errorMs: tookMs / 2 + 0.5 };
  }

  /**
   * The fastest answer is the most exact one. Some may fail: the first also waits for a connection.
   */
  async function measure() {
    const taken: PromiseSettledResult<Awaited<ReturnType<typeof sample>>>[] = [];
    while (taken.length < SAMPLES && !stop.signal.aborted)
      taken.push(...(await Promise.allSettled([sample()])));
    const good = taken.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const [best] = good.sort((a, b) => a.errorMs - b.errorMs);
    if (best === undefined) throw taken.find((one) => one.status === 'rejected')?.reason;
    return best;
  }

  let { baseMs } = await measure();

  async function correct(): Promise<void> {
    const next = await measure();
    // A difference within the measurement's error is ignored, so that the time does not jitter.
    if (Math.abs(next.baseMs - baseMs) > next.errorMs) ({ baseMs } = next);
  }

  async function keepCorrect(): Promise<void> {
    let measuredMs = monotonic();
    let apartMs = wall() - monotonic();
    while (!stop.signal.aborted) {
      await delay(jittered(lookMs), undefined, { signal: stop.signal, ref: false });
      const jumped = Math.abs(wall() - monotonic() - apartMs) > JUMP_MS;
      apartMs = wall() - monotonic();
      if (!jumped && monotonic() - measuredMs < measureMs) continue;
      measuredMs = monotonic();
      await correct().catch((error: unknown) =>
        log.debug({ err: error }, 'database time not measured'),
      );
    }
  }
  // Ends with `stop`; nothing waits for a measurement that is in progress then.
  keepCorrect().catch(() => undefined);

  return {
    now: () => Math.floor(baseMs + monotonic()),
    offsetMs: () => Math.round(wall() - baseMs - monotonic()),
    async close() {
      stop.abort();
    },
  };
}

/**
 * `$$NOW` of the primary, with which update pipelines compare (locks, claims, sessions).
 */
export async function askDatabaseTime(connection: Connection): Promise<number> {
  const pipeline = [{ $documents: [{}] }, { $project: { now: '$$NOW' } }];
  const [row] =
    (await connection.db
      ?.aggregate<{ now: Date }>(pipeline, { maxTimeMS: TIMEOUT_MAX_MS })
      .toArray()) ?? [];
  if (row === undefined) throw new Error('the database returned no time');
  return row.now.getTime();
}
