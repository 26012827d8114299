import type { mongo } from 'mongoose';
import type { PendingEnd, PendingEnds } from '../revocations/pending-ends';
import type { AccountRow } from './account-row';

/** Without an index: there are few accounts. */
export function createPendingAccountEnds(
  rows: () => mongo.Collection<AccountRow>,
  { exact, timeoutMs }: { readonly exact: () => mongo.FindOptions; readonly timeoutMs: number },
): PendingEnds {
  const bounded = { maxTimeMS: timeoutMs } as const;
  return {
    async read(subjects, limit) {
      const some = subjects === undefined ? {} : { _id: { $in: [...subjects] } };
      const filter = { ...some, pendingEnds: { $exists: true } };
      const found = await rows().find(filter, exact()).limit(limit).toArray();
      return found.flatMap((row): PendingEnd[] => {
        const { _id: subject, pendingEnds, revokedAt, tokenVersion = 0 } = row;
        if (pendingEnds === undefined) return [];
        const { mark, all, tokens = [] } = pendingEnds;
        const end = { subject, mark, isService: true };
        if (revokedAt !== undefined) return [{ ...end, isRemoved: true }];
        return [{ ...end, tokens, ...(all === true ? { version: tokenVersion } : {}) }];
      });
    },
    async clear(moved) {
      for (const { subject: _id, mark, isRemoved } of moved) {
        const same = { _id, 'pendingEnds.mark': mark };
        if (isRemoved === true) await rows().deleteOne(same, bounded);
        else await rows().updateOne(same, { $unset: { pendingEnds: 1 } }, bounded);
      }
    },
  };
}
