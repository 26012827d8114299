import { Types } from 'mongoose';
import { randomToken } from '../../kernel/crypto/random';
import { exactReads } from '../../platform/mongo/exact-reads';
import type { KeptSession, UserDocument, UserModel } from './model';
import { hasPendingEnds } from './pending-ends-index';

/** Members of `$set`, where every session has ended, but for one that may have been kept. */
export const pendingAll = () => ({ 'pendingEnds.mark': randomToken(9), 'pendingEnds.all': true });

/** A stage of an update pipeline. `all`: an expression, whether the session version grows. */
export function pendingSessions(sids: readonly string[], all: object) {
  const earlier = { $ifNull: ['$pendingEnds.sids', []] };
  const added = { $setUnion: [earlier, sids.map((sid) => ({ $literal: sid }))] };
  return {
    $set: {
      pendingEnds: {
        mark: { $literal: randomToken(9) },
        all: { $or: [{ $ifNull: ['$pendingEnds.all', false] }, all] },
        // Those of a lower session version need not be named.
        sids: { $cond: [all, [], added] },
      },
    },
  };
}

export interface PendingEnd {
  readonly subject: string;
  readonly mark: string;
  readonly version?: number;
  readonly kept?: KeptSession | undefined;
  readonly sessions: readonly string[];
}

/** For the log of revocations; the module that authenticates declares what it needs. */
export function createPendingEnds(users: UserModel, { timeoutMs }: { timeoutMs: number }) {
  const rows = () => users.db.collection<UserDocument>(users.collection.name);
  const projection = { sessionVersion: 1, keptSession: 1, pendingEnds: 1 } as const;
  return {
    async read(subjects: readonly string[] | undefined, limit: number): Promise<PendingEnd[]> {
      const ids = subjects?.filter((id) => Types.ObjectId.isValid(id));
      const some = ids && { _id: { $in: ids.map((id) => new Types.ObjectId(id)) } };
      const found = await rows()
        .find({ ...hasPendingEnds, ...some }, { ...exactReads(users.db, timeoutMs), projection })
        .limit(limit)
        .toArray();
      return found.flatMap(({ _id, sessionVersion, keptSession, pendingEnds }) =>
        pendingEnds === undefined
          ? []
          : [
              {
                subject: _id.toHexString(),
                mark: pendingEnds.mark,
                sessions: pendingEnds.sids ?? [],
                ...(pendingEnds.all === true ? { version: sessionVersion, kept: keptSession } : {}),
              },
            ],
      );
    },
    async clear(moved: readonly Pick<PendingEnd, 'subject' | 'mark'>[]): Promise<void> {
      if (moved.length === 0) return;
      await rows().bulkWrite(
        moved.map(({ subject, mark }) => ({
          updateOne: {
            filter: { _id: new Types.ObjectId(subject), 'pendingEnds.mark': mark },
            update: { $unset: { pendingEnds: 1 as const } },
          },
        })),
        { ordered: false, maxTimeMS: timeoutMs },
      );
    },
  };
}
