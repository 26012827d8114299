import { setTimeout as pause } from 'node:timers/promises';
import { jittered } from '../../kernel/lifecycle';
import type { Logger } from '../telemetry/logger';
import type { EpochStore } from './epoch-store';
import { type EpochView, LAPSE_MS } from './epoch-view';
import type { CacheMembers } from './members';

export interface EpochMaintenanceOptions {
  readonly view: EpochView;
  readonly epochStore: EpochStore;
  readonly prefix: string | undefined;
  readonly members: CacheMembers;
  /** A tool only reads the epoch store, and leaves its upkeep to the services. */
  readonly isTool: boolean;
  identity(): string | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

const POLL_MS = 300;
const FIRST_POLLS_MS = 10;
/** One read may fall between a failover and this worker's notice of it. */
const MISMATCHES_TO_SUSPEND = 2;

/**
 * Reads the epoch store a few times a second and keeps it up: ends suspensions that nobody renews,
 * replaces a data set that is gone, suspends the Redis entries that not every process shares.
 */
export function createEpochMaintenance(options: EpochMaintenanceOptions) {
  const { view, members, isTool, log, now } = options;
  const upkeep = createUpkeep(options);
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function poll(): Promise<void> {
    const began = now();
    try {
      await view.read();
      if (!isTool) await upkeep(began);
    } catch (error) {
      view.readFailed(began);
      log.debug({ err: error }, 'reading the cache epoch store failed');
    }
  }

  /** The state that a starting process waits for before it serves. */
  const isSettled = (): boolean =>
    view.hasRead &&
    (isTool || members.isRegistered) &&
    (options.identity() === undefined || view.own() !== undefined);

  function schedule(delayMs: number): void {
    if (closed) return;
    timer = setTimeout(() => {
      poll().finally(() => {
        const isStarting = view.hasRead && !isSettled();
        schedule(isStarting ? FIRST_POLLS_MS : jittered(POLL_MS, 0.2));
      });
    }, delayMs);
  }

  return {
    start: () => schedule(0),
    async settled(timeoutMs: number): Promise<void> {
      const deadline = now() + timeoutMs;
      while (!isSettled() && now() < deadline) await pause(10);
    },
    stop(): void {
      closed = true;
      clearTimeout(timer);
    },
  };
}

function createUpkeep(options: EpochMaintenanceOptions): (began: number) => Promise<void> {
  const { view, epochStore, prefix: ownPrefix, members } = options;
  let mismatches = 0;

  /** Where no other process uses Redis entries, these may be in use from the start. */
  async function create(prefix: string, identity: string): Promise<void> {
    if (!members.isRegistered) return;
    const isSole = members.foreign().length === 0 && view.others().length === 0;
    await epochStore.create(prefix, { epoch: 1, suspended: !isSole, beat: 0, dataset: identity });
    await view.read();
  }

  async function maintainOwn(prefix: string, began: number): Promise<void> {
    const identity = options.identity();
    if (identity === undefined) return;
    const track = view.own();
    if (track === undefined) return create(prefix, identity);
    const { state, beatSince } = track;
    const hasForeign = members.foreign().length > 0;
    if (state.suspended) {
      mismatches = 0;
      // Not while a process is registered that could not invalidate these entries.
      if (!hasForeign && began - beatSince >= LAPSE_MS)
        await epochStore.resume(prefix, state, identity);
      return;
    }
    mismatches = state.dataset === identity ? 0 : mismatches + 1;
    if (hasForeign || mismatches >= MISMATCHES_TO_SUSPEND) await view.suspend(prefix);
  }

  return async (began) => {
    await members.maintain();
    if (ownPrefix !== undefined) await maintainOwn(ownPrefix, began);
    for (const prefix of view.others()) if (!view.isSuspended(prefix)) await view.suspend(prefix);
  };
}
