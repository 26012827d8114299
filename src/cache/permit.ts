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
  /**
   * Before a commit, while there is no generation to tell Redis of it in: looks again; and where Redis cannot be reached, takes the
   * shared copies out of use first, so that even a crash after the commit leaves nothing stale.
   */
  prepare(): Promise<void>;
  /**
   * After a commit that Redis was not told of: resolves once no worker can read a shared copy from before it. `tell` tries
   * once more, and resolves with whether it succeeded. Rejects when nothing of that can be had in time.
   */
  fence(tell: () => Promise<boolean>): Promise<void>;
}

export interface PermitOptions {
  readonly ledger: Ledger;
  /** The data set behind this worker's link now. */
  identity(): string | undefined;
  /** Resolves once there is one, or after `timeoutMs`. */
  linked(timeoutMs: number): Promise<void>;
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
const HICCUP_MS = 300;
/** A look that ended later says nothing: the process was frozen meanwhile. */
const TIMELY_MS = LEDGER_TIMEOUT_MS + 200;

/** One run serves all who asked before it began; who asks while it runs shares the next one. */
function startedAfterCall(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  return function ask(): Promise<void> {
    if (running === undefined) {
      running = run().finally(() => {
        running = undefined;
      });
      return running;
    }
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return ask();
      });
    return next;
  };
}

async function patiently(work: () => Promise<void>): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 1) throw error;
      await pause(50);
    }
  }
}

/** Looks may overtake each other; only a later state replaces an earlier one. */
function isOlder(seen: LedgerState, known: LedgerState | undefined): boolean {
  if (known === undefined) return false;
  if (seen.epoch !== known.epoch) return seen.epoch < known.epoch;
  return seen.beat < known.beat || (known.suspended && !seen.suspended);
}

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

  function note(seen: LedgerState): void {
    const before = state;
    const at = now();
    const sameEpoch = before?.epoch === seen.epoch;
    if (seen.suspended && !(sameEpoch && before.suspended)) {
      suspendedSince = at;
      log.warn({ epoch: seen.epoch }, 'the shared copies are out of use: reads go to the database');
    }
    if (!sameEpoch || before.beat !== seen.beat) beatSince = at;
    if (before?.suspended === true && !seen.suspended) log.info({ epoch: seen.epoch }, 'the shared copies are in use again');
    state = seen;
    generation = seen.suspended ? undefined : `${seen.epoch.toString(36)}.${seen.dataset}`;
  }

  function observe(seen: LedgerState, began: number): void {
    if (isOlder(seen, state)) return;
    note(seen);
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
    if (mismatches >= 2) await suspend();
  }

  async function look(): Promise<void> {
    const began = now();
    const identity = options.identity();
    const seen = await ledger.read(identity ?? '');
    observe(seen, began);
  }

  async function poll(): Promise<void> {
    const began = now();
    if (state === undefined && options.identity() === undefined) return;
    try {
      await look();
      if (state !== undefined) await act(state, began);
    } catch (error) {
      // Without the ledger its readers go on as they were: MongoDB is out of reach, and Redis is what is left.
      if (now() - began < TIMELY_MS) validUntil = now() + VALID_MS;
      log.debug({ err: error }, 'the cache ledger was not read');
    }
  }

  function schedule(delayMs: number): void {
    if (closed) return;
    timer = setTimeout(() => {
      poll().finally(() => schedule(state === undefined ? POLL_MS / 6 : POLL_MS * (0.8 + Math.random() * 0.4)));
    }, delayMs);
  }

  const lookAgain = startedAfterCall(() => patiently(look));
  const suspend = startedAfterCall(() =>
    patiently(async () => {
      const began = now();
      observe(await ledger.suspend(), began);
    }),
  );

  /** Those who are cut off keep a suspension alive, or the next of their writes would have to wait for another one. */
  function prolong(): void {
    if (now() - beatSince > LAPSE_MS / 4) suspend().catch((error: unknown) => log.debug({ err: error }, 'a suspension was not prolonged'));
  }

  /** A suspension stops all workers, so a hiccup of this worker's connection gets a moment to pass; but not twice. */
  async function linked(): Promise<boolean> {
    if (options.identity() === undefined && state?.suspended !== true) await options.linked(HICCUP_MS);
    return options.identity() !== undefined;
  }

  /** Until every worker has seen the suspension, or no longer trusts what it saw before. */
  async function established(): Promise<void> {
    const rest = suspendedSince + VALID_MS - now();
    if (rest > 0) await pause(Math.ceil(rest) + 1);
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
    async prepare() {
      if (await linked()) await lookAgain();
      else if (state?.suspended !== true) await suspend();
    },
    async fence(tell) {
      const reaches = await linked();
      await lookAgain();
      // Still suspended after the commit: whatever is filled later, under the next epoch, knows the commit.
      if (state?.suspended === true) {
        if (!reaches) prolong();
        return established();
      }
      if (reaches && (await tell())) return;
      await suspend();
      await established();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      generation = undefined;
    },
  };
}
