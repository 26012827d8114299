import { Counter } from 'prom-client';
import { backoffMs, type Closable, withTimeout } from '../../kernel/lifecycle';
import type { Removal } from '../../platform/module';
import type { Logger } from '../../platform/telemetry/logger';
import type { Metrics } from '../../platform/telemetry/metrics';
import type { ClaimedRemoval, Removals } from './removals';

export interface PurgerOptions {
  readonly removals: Removals;
  /** From the primary of the database. */
  readonly userExists: (id: string) => Promise<boolean>;
  /** Removes the data that each module keeps about the user. Idempotent. */
  readonly purges: readonly ((removal: Removal) => Promise<void>)[];
  /** Whether this process looks for removals that others left behind. */
  readonly sweeps: boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly closeTimeoutMs: number;
  readonly pollMs?: number;
}

/** Purges removed users: at once, and again by whichever process finds the removal due. */
export interface Purger extends Closable {
  /** The removal of the user was committed. */
  kick(userId: string): void;
}

/** Purges at once, each of a dozen writes: the requests of this process need connections too. */
const KICK_SLOTS = 3;
const KICKED_MAX = 1000;

export function startPurger(options: PurgerOptions): Purger {
  const { removals, userExists, purges, sweeps, log, closeTimeoutMs, pollMs = 5000 } = options;
  const running = new Set<Promise<void>>();
  /** Removed users that wait for their first purge. */
  const kicked: string[] = [];
  let busySlots = 0;
  let isSweeping = false;
  let isFailing = false;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  const finished = new Counter({
    name: 'users_purges_total',
    help: 'Purges of removed users: each is purged at once, and finally after a while.',
    labelNames: ['pass'],
    registers: [options.metrics],
  });
  for (const pass of ['first', 'final']) finished.inc({ pass }, 0);

  async function purge(claimed: ClaimedRemoval): Promise<void> {
    for (const one of purges) await one(claimed);
    if (claimed.isSettling) await removals.forget(claimed);
    else await removals.settle(claimed);
    finished.inc({ pass: claimed.isSettling ? 'final' : 'first' });
  }

  async function sweep(): Promise<void> {
    for (;;) {
      const claimed = isClosed ? null : await removals.claimDue();
      if (claimed === null) return;
      // Announced, and then refused or given up: the account is still in use.
      const isInUse = !claimed.isSettling && (await userExists(claimed.userId));
      await (isInUse ? removals.forget(claimed) : purge(claimed));
    }
  }

  /** A failed purge is due again when the lease has run out. Logged once, until one succeeds. */
  function track(work: () => Promise<void>): Promise<void> {
    const done = work()
      .then(
        () => {
          isFailing = false;
        },
        (error: unknown) => {
          if (!isFailing) log.warn({ err: error }, 'purge of removed users failed');
          isFailing = true;
        },
      )
      .finally(() => running.delete(done));
    running.add(done);
    return done;
  }

  function poll(): void {
    if (!isSweeping) {
      isSweeping = true;
      void track(sweep).finally(() => {
        isSweeping = false;
      });
    }
    timer = setTimeout(poll, backoffMs(0, pollMs, pollMs)).unref();
  }
  if (sweeps) timer = setTimeout(poll, backoffMs(0, pollMs, pollMs)).unref();

  async function purgeKicked(): Promise<void> {
    for (;;) {
      const userId = isClosed ? undefined : kicked.shift();
      if (userId === undefined) return;
      await track(async () => {
        const claimed = await removals.claim(userId);
        if (claimed !== null) await purge(claimed);
      });
    }
  }

  return {
    kick(userId) {
      // A removal that finds no room is found due by a sweep.
      if (kicked.length < KICKED_MAX) kicked.push(userId);
      if (busySlots >= KICK_SLOTS) return;
      busySlots += 1;
      void purgeKicked().finally(() => {
        busySlots -= 1;
      });
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await withTimeout(Promise.all(running), closeTimeoutMs, 'purging removed users');
    },
  };
}
