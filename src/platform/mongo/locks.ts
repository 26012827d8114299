import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { Problem, problems } from '../../kernel/errors';
import { backoffMs } from '../../kernel/lifecycle';
import { inTime } from './bounded';
import { isDuplicateKey } from './errors';
import { afterNow } from './expressions';

/** One holder at a time, over all workers and hosts. */
export interface Locks {
  /**
   * Runs `work` while holding `name`. Tries once, for at most `waitMs`, and throws 503 `busy` when
   * another holds the lock: the caller retries within its own deadline. The lock expires after
   * `ttlMs`, at `until` of the database's time. A holder that was suspended past it does not
   * notice, so its writes must name `until` in their filters.
   */
  withLock<T>(name: string, work: (until: Date) => Promise<T>, waitMs?: number): Promise<T>;
  /**
   * The same for work after a change that is made already: waits for other holders for as
   * long as a lock lasts, and throws 503 `contended` then.
   */
  withLockWhenFree<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Another holder has the lock; nothing was done. */
export const isLockBusy = (error: unknown): error is Problem =>
  error instanceof Problem && error.code === 'busy';

/** Nothing was done: the lock expired before the write of its holder. */
export const lockExpired = (): Problem =>
  problems.unavailable('busy', 'The change took too long; nothing was changed.', 1);

interface LockDocument {
  _id: string;
  holder: string;
  until: Date;
}

export const LOCKS_COLLECTION = 'locks';

/** A lock outlives the deadline of its work, and expires soon after a crash of its holder. */
export const lockTimes = (operationTimeoutMs: number) => ({
  ttlMs: 2 * operationTimeoutMs,
  timeoutMs: operationTimeoutMs,
});

/** Protects rules over several documents (the last administrator) without transactions. */
export function createLocks(
  connection: Connection,
  options: { ttlMs: number; timeoutMs: number },
): Locks {
  const { ttlMs, timeoutMs } = options;
  const collection = () => connection.collection<LockDocument>(LOCKS_COLLECTION);

  /** The expiry of the acquired lock, by the database's clock; undefined: another holder has it. */
  async function acquire(name: string, holder: string): Promise<Date | undefined> {
    // By the database's clock: a host with a wrong clock could otherwise take a lock that is held.
    const isFree = { $lte: [{ $ifNull: ['$until', '$$NOW'] }, '$$NOW'] };
    const taken = { holder: { $literal: holder }, until: afterNow(ttlMs) };
    const options = { upsert: true, returnDocument: 'after', maxTimeMS: timeoutMs } as const;
    try {
      const lock = await collection().findOneAndUpdate(
        { _id: name },
        [{ $replaceWith: { $cond: [isFree, { $mergeObjects: ['$$ROOT', taken] }, '$$ROOT'] } }],
        options,
      );
      return lock?.holder === holder ? lock.until : undefined;
    } catch (error) {
      // A concurrent holder inserted the document.
      if (isDuplicateKey(error)) return undefined;
      throw error;
    }
  }

  /** If this fails, the lock expires. */
  const release = (name: string, holder: string) =>
    collection()
      .deleteOne({ _id: name, holder }, { maxTimeMS: timeoutMs })
      .catch(() => undefined);

  async function acquireInTime(name: string, holder: string, waitMs: number) {
    const acquiring = acquire(name, holder);
    try {
      return await inTime(acquiring, Math.max(1, waitMs), `the lock ${name}`);
    } catch (error) {
      // The database may grant it later, or has granted it and the answer was lost.
      const releaseNow = () => release(name, holder);
      void acquiring.then(releaseNow, releaseNow);
      throw error;
    }
  }

  const locks: Locks = {
    async withLock(name, work, waitMs = timeoutMs) {
      const holder = randomUUID();
      const until = await acquireInTime(name, holder, waitMs);
      if (until === undefined)
        throw problems.unavailable('busy', 'Another change of this kind is in progress.', 1);
      try {
        return await work(until);
      } finally {
        await release(name, holder);
      }
    },
    async withLockWhenFree(name, work) {
      const endMs = performance.now() + ttlMs;
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await locks.withLock(name, work);
        } catch (error) {
          if (!isLockBusy(error)) throw error;
          if (performance.now() > endMs) throw problems.contended();
          await pause(backoffMs(attempt, 5, 100));
        }
      }
    },
  };
  return locks;
}
