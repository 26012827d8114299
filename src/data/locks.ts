import { randomUUID } from 'node:crypto';
import type { Connection } from 'mongoose';
import { problems } from '../errors';
import { backoffMs } from '../lifecycle';

/** One holder at a time, over all workers and hosts. */
export interface Locks {
  /**
   * Runs `work` while holding `name`. The lock expires by itself after `ttlMs`, so `work` must be bounded to less.
   * Throws a 503 Problem when the lock cannot be had within `waitMs`.
   */
  withLock<T>(name: string, work: () => Promise<T>): Promise<T>;
}

interface LockDocument {
  _id: string;
  holder: string;
  until: Date;
}

export const LOCKS_COLLECTION = 'locks';

/** For the rare rule that spans documents (the last administrator), since not every engine has transactions. */
export function createLocks(connection: Connection, options: { ttlMs: number; waitMs: number; timeoutMs: number }): Locks {
  const { ttlMs, waitMs, timeoutMs } = options;
  const collection = () => connection.collection<LockDocument>(LOCKS_COLLECTION);

  async function acquire(name: string, holder: string): Promise<boolean> {
    const nowMs = Date.now();
    try {
      const lock = await collection().findOneAndUpdate(
        { _id: name, until: { $lte: new Date(nowMs) } },
        { $set: { holder, until: new Date(nowMs + ttlMs) } },
        { upsert: true, returnDocument: 'after', maxTimeMS: timeoutMs },
      );
      return lock?.holder === holder;
    } catch (error) {
      // The upsert met a lock that is still held.
      if (error instanceof Error && 'code' in error && error.code === 11000) return false;
      throw error;
    }
  }

  return {
    async withLock(name, work) {
      const holder = randomUUID();
      const deadline = performance.now() + waitMs;
      for (let attempt = 0; !(await acquire(name, holder)); attempt += 1) {
        const pauseMs = backoffMs(attempt, 10, 200);
        if (performance.now() + pauseMs > deadline) throw problems.unavailable('busy', 'Another change of this kind is in progress.', 1);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
      try {
        return await work();
      } finally {
        // Not reached in time: it expires.
        await collection()
          .deleteOne({ _id: name, holder }, { maxTimeMS: timeoutMs })
          .catch(() => undefined);
      }
    },
  };
}
