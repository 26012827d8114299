import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from 'mongoose';
import { backoffMs } from '../../../kernel/lifecycle';
import { isDuplicateKey } from '../../../platform/mongo/errors';
import { exactReads } from '../../../platform/mongo/exact-reads';
import type { IndexedCollection } from '../../../platform/mongo/indexed-collection';

export const REVOCATIONS_COLLECTION = 'revocations';

/** One end of tokens: of a subject, of single sessions or tokens, or of keys. */
export interface Ended {
  readonly type: 'tokens_ended' | 'subject_removed' | 'keys_removed';
  readonly subject?: string;
  /** The subject is a service account. */
  readonly isService?: boolean;
  readonly version?: number;
  readonly kept?: { readonly sid: string; readonly ver: number };
  readonly sessions?: readonly string[];
  readonly tokens?: readonly string[];
  readonly keys?: readonly string[];
}

export interface LogEntry extends Ended {
  readonly sequence: number;
  readonly at: Date;
}

type Row = Ended & { readonly _id: number; readonly at: Date };

/**
 * The log of ended tokens. Its numbers have no gap, because an entry is only ever inserted after
 * the last one: the second writer finds the number in use, and tries the next.
 */
export interface RevocationLog {
  append(entries: readonly Ended[]): Promise<void>;
  /** Up to `limit` entries after a position, in order. */
  read(after: number, limit: number): Promise<readonly LogEntry[]>;
  /** The number of the last entry; 0: there is none. */
  latest(): Promise<number>;
  /** The number of the first entry that is kept; 1: all are. */
  oldest(): Promise<number>;
  /** Removes entries from before `time`. The last one stays, as it holds the number. */
  purge(before: Date): Promise<void>;
}

export const revocationIndexes: IndexedCollection = {
  collection: REVOCATIONS_COLLECTION,
  indexes: [{ key: { at: 1 }, name: 'by_time' }],
};

/** Another process took the number: at most this often for one batch. */
const ATTEMPTS = 50;

export function createRevocationLog(
  connection: Connection,
  { timeoutMs, now }: { readonly timeoutMs: number; readonly now: () => number },
): RevocationLog {
  const rows = () => connection.collection<Row>(REVOCATIONS_COLLECTION);
  // A member that is behind, or an entry that a failover takes back, would leave a gap.
  const exact = exactReads(connection, timeoutMs);

  async function edge(direction: 1 | -1): Promise<number | undefined> {
    const options = { ...exact, projection: { _id: 1 }, sort: { _id: direction } } as const;
    return (await rows().findOne({}, options))?._id;
  }
  /** Also an entry whose majority is not known yet: its number is taken. */
  async function last(): Promise<number> {
    const options = { maxTimeMS: timeoutMs, readPreference: 'primary' } as const;
    const [row] = await rows()
      .find({}, { ...options, projection: { _id: 1 } })
      .sort({ _id: -1 })
      .limit(1)
      .toArray();
    return row?._id ?? 0;
  }

  return {
    async append(entries) {
      let rest = entries;
      for (let attempt = 0; rest.length > 0; attempt += 1) {
        const first = (await last()) + 1;
        const at = new Date(now());
        const batch = rest.map((entry, i): Row => ({ _id: first + i, at, ...entry }));
        try {
          await rows().insertMany(batch, { ordered: true, maxTimeMS: timeoutMs });
          return;
        } catch (error) {
          if (!isDuplicateKey(error) || attempt >= ATTEMPTS) throw error;
          const { insertedCount = 0 } = error as { readonly insertedCount?: number };
          rest = rest.slice(insertedCount);
          // Another process has taken the number.
          await pause(backoffMs(attempt, 1, 20));
        }
      }
    },
    async read(after, limit) {
      const found = await rows()
        .find({ _id: { $gt: after } }, exact)
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return found.map(({ _id: sequence, ...rest }) => ({ sequence, ...rest }));
    },
    latest: async () => (await edge(-1)) ?? 0,
    oldest: async () => (await edge(1)) ?? 1,
    async purge(before) {
      const filter = { _id: { $lt: await last() }, at: { $lt: before } };
      await rows().deleteMany(filter, { maxTimeMS: timeoutMs });
    },
  };
}
