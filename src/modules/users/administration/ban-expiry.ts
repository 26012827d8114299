import { setTimeout as delay } from 'node:timers/promises';
import type { Closable } from '../../../kernel/lifecycle';
import type { Logger } from '../../../platform/telemetry/logger';
import type { UserModel } from '../model';

/** A ban that ends by itself. */
interface EndingBan {
  readonly id: string;
  readonly endsAtMs: number;
}

/**
 * Lifts bans at their end, so that lists and their filters show it too. A login and a read of one
 * user lift it themselves.
 */
export interface BanExpiry extends Closable {
  start(): void;
  /** A ban that may be the next to end is new. */
  look(): void;
}

export interface BanExpiryOptions {
  /** The bans that end before this time, the first to end first; a bounded number of them. */
  readonly endingBefore: (at: Date) => Promise<readonly EndingBan[]>;
  readonly lift: (id: string) => Promise<unknown>;
  readonly log: Logger;
  /** The database's time, ms since the epoch. */
  readonly now: () => number;
  readonly periodMs?: number;
}

/** How late a list can be when the process that has made the ban is gone. */
const PERIOD_MS = 5000;
const BATCH = 100;
/** Of many processes one writes first; the others find nothing to do. */
const JITTER_MS = 50;

export const endingBans = (at: Date) => ({ status: 'banned', bannedUntil: { $lte: at } });

export const findEndingBans =
  (users: UserModel, { timeoutMs }: { timeoutMs: number }) =>
  async (at: Date): Promise<EndingBan[]> => {
    const options = {
      maxTimeMS: timeoutMs,
      projection: { bannedUntil: 1 },
      sort: { bannedUntil: 1 },
      limit: BATCH,
    } as const;
    const rows = await users.collection.find(endingBans(at), options).toArray();
    return rows.flatMap(({ _id, bannedUntil }) =>
      bannedUntil === undefined ? [] : [{ id: _id.toHexString(), endsAtMs: bannedUntil.getTime() }],
    );
  };

export function createBanExpiry(options: BanExpiryOptions): BanExpiry {
  const { endingBefore, lift, log, now, periodMs = PERIOD_MS } = options;
  const stop = new AbortController();
  let wake = new AbortController();
  let running: Promise<void> | undefined;

  /** Until then, or until `look` or `close` is called. */
  const pause = (ms: number) =>
    delay(Math.max(0, ms), undefined, { signal: wake.signal, ref: false }).catch(() => undefined);

  async function sweep(): Promise<void> {
    for (const { id, endsAtMs } of await endingBefore(new Date(now() + periodMs))) {
      await pause(endsAtMs - now() + 1 + Math.random() * JITTER_MS);
      if (wake.signal.aborted) return;
      await lift(id);
    }
  }

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      wake = new AbortController();
      const began = performance.now();
      await sweep().catch((error: unknown) => log.warn({ err: error }, 'ended bans not lifted'));
      await pause(periodMs - (performance.now() - began));
    }
  }

  return {
    start() {
      running ??= run();
    },
    look: () => wake.abort(),
    async close() {
      stop.abort();
      wake.abort();
      await running;
    },
  };
}
