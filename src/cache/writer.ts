import { problems } from '../errors';
import type { Counts } from './counts';
import { newToken, type SharedCopies } from './shared';
import type { Stamps } from './stamps';

export interface WriterDeps {
  readonly nearTtlMs: number;
  readonly counts: Counts;
  readonly shared: SharedCopies | undefined;
  readonly stamps: Pick<Stamps, 'stamp'> | undefined;
  /** The generation of keys that every reader uses now; undefined: Redis cannot be told. */
  generation(): string | undefined;
  /** See Permit. Both reject when MongoDB cannot be reached. */
  prepare(): Promise<void>;
  fence(tell: () => Promise<boolean>): Promise<void>;
  /** The wait for near copies to expire. */
  pause(ms: number): Promise<unknown>;
}

type Harmless = (error: unknown) => boolean;
export type Write = <R>(groups: readonly string[], commit: () => Promise<R>, isHarmless?: Harmless) => Promise<R>;

const LEAVE_ATTEMPTS = 3;

/** Neither Redis nor the ledger could be told: no acknowledgement, even where the commit has happened. */
function unconfirmed(cause: unknown): never {
  throw problems.unavailable('write_unconfirmed', 'The change may have been made, and is not certain to be seen everywhere yet.', 1, cause);
}

export function createWriter(deps: WriterDeps): Write {
  const { nearTtlMs, counts, shared, stamps } = deps;

  async function allOf(steps: readonly (Promise<void> | undefined)[]): Promise<boolean> {
    const done = await Promise.allSettled(steps);
    const failed = done.filter((one) => one.status === 'rejected').length;
    counts.redisErrors += failed;
    return failed === 0;
  }

  /** It matters only for a writer that dies after its commit: a live one has left before it acknowledges. */
  async function enter(copies: SharedCopies, groups: readonly string[], token: string): Promise<void> {
    const generation = deps.generation();
    if (generation === undefined) return;
    await allOf([...groups.map((group) => copies.enter(generation, group, token)), stamps?.stamp(generation, groups)]);
  }

  /** One attempt. The stamps come last: who sees them, and reads again, must find no copy from before the commit. */
  async function left(copies: SharedCopies, generation: string, groups: readonly string[], token: string): Promise<boolean> {
    const dropped = await allOf(groups.map((group) => copies.leave(generation, group, token)));
    return dropped && (await allOf([stamps?.stamp(generation, groups)])) && deps.generation() === generation;
  }

  /** Whether, from now on, no shared copy from before the commit can be read, nor a near copy be renewed. */
  async function leave(copies: SharedCopies, groups: readonly string[], token: string): Promise<boolean> {
    for (let attempt = 0; attempt < LEAVE_ATTEMPTS; attempt += 1) {
      const generation = deps.generation();
      if (generation === undefined) break;
      if (await left(copies, generation, groups, token)) return true;
    }
    return false;
  }

  async function committed<R>(copies: SharedCopies, groups: readonly string[], commit: () => Promise<R>, isHarmless: Harmless): Promise<R> {
    if (deps.generation() === undefined) await deps.prepare().catch(unconfirmed);
    const token = newToken();
    await enter(copies, groups, token);
    let result: R;
    try {
      result = await commit();
    } catch (error) {
      // Unless nothing was written, the commit may still happen: the entry stays and keeps the groups uncached until it expires.
      if (isHarmless(error)) await leave(copies, groups, token);
      throw error;
    }
    if (!(await leave(copies, groups, token))) {
      counts.fences += 1;
      await deps.fence(() => leave(copies, groups, token)).catch(unconfirmed);
    }
    return result;
  }

  return async (groups, commit, isHarmless = () => false) => {
    counts.writes += 1;
    const result = shared === undefined ? await commit() : await committed(shared, groups, commit, isHarmless);
    if (nearTtlMs > 0) {
      counts.guardWaits += 1;
      // One more than τ: timers may fire up to a millisecond early by the monotonic clock.
      await deps.pause(Math.ceil(nearTtlMs) + 1);
    }
    return result;
  };
}
