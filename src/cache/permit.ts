import { setTimeout as pause } from 'node:timers/promises';
import type { Closable } from '../lifecycle';
import type { Logger } from '../observability/logger';
import { LEDGER_TIMEOUT_MS, type Ledger, type LedgerState } from './ledger';

/** One worker's right to use the shared copies. */
export interface Permit extends Closable {
  start(): void;
  /** Resolves when the ledger has been seen, or after `timeoutMs`. */
  settled(timeoutMs: number): Promise<void>;
  /** The generation of keys that may be read now; undefined: do without the shared copies. Cheap: asked on every read. */
  generation(): string | undefined;
  /** The same for a writer, who may rely on it only while the ledger itself says so. */
  confirmedGeneration(): string | undefined;
  /** Before a commit that Redis cannot be told of: the shared copies go out of use first, so that even a crash leaves nothing stale. */
  suspend(): Promise<void>;
  /** After it: resolves once no worker can read a shared copy from before the commit. Rejects when that cannot be had in time. */
  fence(): Promise<void>;
}

export interface PermitOptions {
  readonly ledger: Ledger;
  /** The data set behind this worker's link now. */
  identity(): string | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

/**
 * A worker may use the shared copies for VALID_MS from the beginning of its last look at the ledger. So VALID_MS after a suspension no
 * worker uses them, whether or not it can be reached; and as a suspension lasts at least LAPSE_MS > VALID_MS, no two
 * workers ever use two generations at a time.
 */
export const VALID_MS = 1500;
const LAPSE_MS = 2000;
const POLL_MS = 300;
/** A look that ended later says nothing: the process was frozen meanwhile. */
const TIMELY_MS = LEDGER_TIMEOUT_MS + 200;

export function createPermit(options: PermitOptions): Permit {
  const { ledger, log, now } = options;
  let state: LedgerState | undefined;
  let generation: string | undefined;
  let validUntil = 0;
  let confirmedUntil = 0;
  /** When this worker first knew of the suspension and of the beat that `state` shows. */
  let suspendedSince = 0;
  let beatSince = 0;
  let mismatches = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  /** Looks may overtake each other; only a later state replaces an earlier one. */
  function observe(seen: LedgerState, began: number): void {
    const older = state !== undefined && (seen.epoch < state.epoch || (seen.epoch === state.epoch && seen.beat < state.beat));
    const undone = state !== undefined && seen.epoch === state.epoch && state.suspended && !seen.suspended;
    if (older || undone) return;
    const at = now();
    if (seen.suspended && (state === undefined || !state.suspended || state.epoch !== seen.epoch)) {
      suspendedSince = at;
      log.warn({ epoch: seen.epoch }, 'the shared copies are out of use: reads go to the database');
    }
    if (state === undefined || state.beat !== seen.beat || state.epoch !== seen.epoch) beatSince = at;
    if (state?.suspended === true && !seen.suspended) log.info({ epoch: seen.epoch }, 'the shared copies are in use again');
    state = seen;
    generation = seen.suspended ? undefined : `${seen.epoch.toString(36)}.${seen.dataset}`;
    confirmedUntil = Math.max(confirmedUntil, began + VALID_MS);
    validUntil = Math.max(validUntil, confirmedUntil);
  }

  /** What a look leads to: a silent suspension is ended, a data set that is no longer there is replaced by way of a suspension. */
  async function act(seen: LedgerState, began: number): Promise<void> {
    const identity = options.identity();
    if (identity === undefined) return;
    if (seen.suspended) {
      mismatches = 0;
      if (began - beatSince >= LAPSE_MS) await ledger.resume(seen, identity);
      return;
    }
    mismatches = seen.dataset === identity ? 0 : mismatches + 1;
    // Twice, since one look may fall between a failover and this worker's notice of it.
    if (mismatches >= 2) await share();
  }

  async function look(): Promise<void> {
    const began = now();
    const identity = options.identity();
    if (state === undefined && identity === undefined) return;
    try {
      const seen = await ledger.read(identity ?? '');
      observe(seen, began);
      await act(seen, began);
    } catch (error) {
      // Without the ledger its readers go on as they were: MongoDB is out of reach, and Redis is what is left.
      if (now() - began < TIMELY_MS && state !== undefined) validUntil = Math.max(validUntil, began + VALID_MS);
      log.debug({ err: error }, 'the cache ledger was not read');
    }
  }

  function schedule(delayMs: number): void {
    if (closed) return;
    timer = setTimeout(() => {
      look().finally(() => schedule(state === undefined ? POLL_MS / 6 : POLL_MS * (0.8 + Math.random() * 0.4)));
    }, delayMs);
  }

  async function once(): Promise<void> {
    const began = now();
    for (let attempt = 0; ; attempt += 1) {
      try {
        observe(await ledger.suspend(), began);
        return;
      } catch (error) {
        if (attempt === 2) throw error;
        await pause(50);
      }
    }
  }

  /** One suspension serves all who asked before it began; who asks while it runs gets the next one. */
  function share(): Promise<void> {
    if (running === undefined) {
      running = once().finally(() => (running = undefined));
      return running;
    }
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return share();
      });
    return next;
  }

  const before = (limit: number): string | undefined =>
    generation !== undefined && now() < limit && state?.dataset === options.identity() ? generation : undefined;

  return {
    start: () => schedule(0),
    async settled(timeoutMs) {
      const deadline = now() + timeoutMs;
      while (state === undefined && now() < deadline) await pause(10);
    },
    generation: () => before(validUntil),
    confirmedGeneration: () => before(confirmedUntil),
    suspend: share,
    async fence() {
      await share();
      // Unsuspended again already? Then that was after the commit, under a new epoch, which knows the commit.
      const rest = suspendedSince + VALID_MS - now();
      if (rest > 0) await pause(Math.ceil(rest) + 1);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      generation = undefined;
    },
  };
}
