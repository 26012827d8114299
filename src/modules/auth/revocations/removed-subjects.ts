import type { Connection } from 'mongoose';
import { exactReads } from '../../../platform/mongo/exact-reads';
import { afterNow } from '../../../platform/mongo/expressions';
import type { PendingEnds } from './pending-ends';

const REMOVED_COLLECTION = 'revocation_removals';

interface Row {
  readonly _id: string;
  /** A removal that was announced, and not committed until then, will not be. */
  readonly until: Date;
}

/** Removed users, whose documents can no longer say that their tokens have ended. */
export interface RemovedSubjects extends PendingEnds {
  /** Before the removal. Until it resolves, nothing is removed. */
  announce(userId: string): Promise<void>;
  /** Forgets the removals that were announced and not carried out. */
  forgetRefused(): Promise<void>;
}

/** Commits are given up long before (docs/adr/0011-one-deadline.md). */
const graceMs = (timeoutMs: number) => Math.max(30_000, 4 * timeoutMs);

export function createRemovedSubjects(
  connection: Connection,
  options: {
    readonly timeoutMs: number;
    /** From the primary of the database. */
    readonly exists: (userId: string) => Promise<boolean>;
    /** Those of the ids whose removal has not been committed for good. */
    readonly existing: (userIds: readonly string[]) => Promise<ReadonlySet<string>>;
  },
): RemovedSubjects {
  const { timeoutMs, exists, existing } = options;
  const bounded = { maxTimeMS: timeoutMs } as const;
  const rows = () => connection.collection<Row>(REMOVED_COLLECTION);

  return {
    async announce(userId) {
      const set = { until: afterNow(graceMs(timeoutMs)) };
      await rows().updateOne({ _id: userId }, [{ $set: set }], { ...bounded, upsert: true });
    },
    // All of them: those that are not carried out must not hide the others.
    async read(subjects) {
      const filter = subjects === undefined ? {} : { _id: { $in: [...subjects] } };
      const found = await rows().find(filter, exactReads(connection, timeoutMs)).toArray();
      const ids = found.map(({ _id }) => _id);
      const remaining = ids.length === 0 ? new Set<string>() : await existing(ids);
      const gone = ids.filter((id) => !remaining.has(id));
      return gone.map((subject) => ({ subject, mark: subject, isRemoved: true }));
    },
    async clear(moved) {
      const filter = { _id: { $in: moved.map(({ subject }) => subject) } };
      await rows().deleteMany(filter, bounded);
    },
    async forgetRefused() {
      const isOver = { $expr: { $lte: ['$until', '$$NOW'] } };
      for (const { _id } of await rows().find(isOver, bounded).limit(100).toArray())
        if (await exists(_id)) await rows().deleteOne({ _id, ...isOver }, bounded);
    },
  };
}
