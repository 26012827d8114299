import { setTimeout as pause } from 'node:timers/promises';
import type { Counts } from './counts';
import { newToken, type SharedCopies } from './shared';

export interface WriterDeps {
  readonly now: () => number;
  readonly nearTtlMs: number;
  readonly writerTtlMs: number;
  readonly counts: Counts;
  readonly shared: SharedCopies | undefined;
  generation(): string | undefined;
  /** Called for a commit that Redis could not be told of; resolves when no worker uses a shared copy from before it. */
  fence(groups: readonly string[]): Promise<void>;
}

interface Entered {
  readonly generation: string;
  readonly token: string;
  readonly began: number;
}

export type Write = <R>(groups: readonly string[], commit: () => Promise<R>, isHarmless?: (error: unknown) => boolean) => Promise<R>;

/** A writer's entry guards its groups for `writerTtlMs`; what is left must at least cover the answer's way back. */
const GUARD_MARGIN_MS = 500;

export function createWriter(deps: WriterDeps): Write {
  const { now, nearTtlMs, writerTtlMs, counts, shared } = deps;

  async function everywhere(groups: readonly string[], step: (group: string) => Promise<void>): Promise<boolean> {
    const done = await Promise.allSettled(groups.map(step));
    const failed = done.filter((one) => one.status === 'rejected').length;
    counts.redisErrors += failed;
    return failed === 0;
  }

  async function enter(groups: readonly string[]): Promise<Entered | undefined> {
    const generation = deps.generation();
    if (shared === undefined || generation === undefined) return undefined;
    const entered = { generation, token: newToken(), began: now() };
    return (await everywhere(groups, (group) => shared.enter(generation, group, entered.token))) ? entered : undefined;
  }

  /** Whether, from now on, no shared copy from before the commit can be read. */
  async function leave(groups: readonly string[], entered: Entered | undefined): Promise<boolean> {
    if (shared === undefined) return true;
    const generation = deps.generation();
    const token = entered?.token ?? '';
    if (generation !== undefined && (await everywhere(groups, (group) => shared.leave(generation, group, token)))) {
      if (deps.generation() === generation) return true;
    }
    // The entry itself holds readers off until it expires, and it emptied the group when it was made.
    return entered !== undefined && deps.generation() === entered.generation && now() - entered.began < writerTtlMs - GUARD_MARGIN_MS;
  }

  return async (groups, commit, isHarmless) => {
    counts.writes += 1;
    const entered = await enter(groups);
    let result: Awaited<ReturnType<typeof commit>>;
    try {
      result = await commit();
    } catch (error) {
      // Unless nothing was written, the commit may still happen: the entry stays and keeps the groups uncached until it expires.
      if (isHarmless?.(error) === true) await leave(groups, entered);
      throw error;
    }
    if (!(await leave(groups, entered))) {
      counts.writesUncovered += 1;
      await deps.fence(groups);
    }
    if (nearTtlMs > 0) {
      counts.guardWaits += 1;
      // Timers may fire up to a millisecond early by the monotonic clock.
      await pause(Math.ceil(nearTtlMs) + 1);
    }
    return result;
  };
}
