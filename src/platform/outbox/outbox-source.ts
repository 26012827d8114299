import type { Connection, Types } from 'mongoose';
import { exactReads } from '../mongo/exact-reads';
import { HAS_PENDING, type PendingEvent } from './pending-event';

/** The pending events of one document, in the order of its writes. */
export interface PendingOf {
  /** Their subject: the id of a user. */
  readonly subject: string;
  readonly events: readonly PendingEvent[];
}

/** A collection whose writes leave events behind. */
export interface OutboxSource {
  readonly collection: string;
  /** Of `limit` documents at most, those with the oldest events first. */
  pending(limit: number): Promise<readonly PendingOf[]>;
  /** They are in the log. A repetition is harmless. */
  moved(batch: readonly PendingOf[]): Promise<void>;
}

interface Documents {
  readonly _id: Types.ObjectId | string;
  readonly outbox?: readonly PendingEvent[];
}

export interface OutboxSourceOptions {
  readonly collection: string;
  readonly timeoutMs: number;
  /** The `_id` of a subject. */
  readonly idOf: (subject: string) => Types.ObjectId | string;
  /** Of the subjects with pending events, those whose write has been committed. Default: all. */
  readonly committed?: (subjects: readonly string[]) => Promise<ReadonlySet<string>>;
}

/** The query for pending events; also for `npm run explain`. */
export const pendingQuery = (limit: number, timeoutMs: number) =>
  [
    HAS_PENDING,
    {
      projection: { outbox: 1 },
      sort: { 'outbox.at': 1 as const },
      limit,
      maxTimeMS: timeoutMs,
      readPreference: 'primary' as const,
    },
  ] as const;

type Outbox = Pick<OutboxSource, 'collection'>;

/** Whether any of the sources has a pending event: one command, for looks that seldom find. */
export function createPendingLook(
  connection: Connection,
  [first, ...others]: readonly [Outbox, ...Outbox[]],
  timeoutMs: number,
): () => Promise<boolean> {
  const one = [{ $match: HAS_PENDING }, { $limit: 1 }, { $project: { _id: 1 } }];
  const pipeline = [
    ...one,
    ...others.map(({ collection }) => ({ $unionWith: { coll: collection, pipeline: one } })),
    { $limit: 1 },
  ];
  return async () => {
    const found = connection
      .collection(first.collection)
      .aggregate(pipeline, exactReads(connection, timeoutMs));
    return (await found.next()) !== null;
  };
}

export function createOutboxSource(
  connection: Connection,
  { collection, timeoutMs, idOf, committed }: OutboxSourceOptions,
): OutboxSource {
  const documents = () => connection.collection<Documents>(collection);

  async function read(limit: number, among: object): Promise<readonly PendingOf[]> {
    const [filter, options] = pendingQuery(limit, timeoutMs);
    const exact = { ...options, ...exactReads(connection, timeoutMs) };
    const found = await documents()
      .find({ ...filter, ...among }, exact)
      .toArray();
    return found.map(({ _id, outbox = [] }) => ({ subject: String(_id), events: outbox }));
  }

  /**
   * The events that the committed write has left, and not those that an earlier read saw: an
   * attempt that was refused in between may have been announced with fewer events.
   */
  async function committedOf(all: readonly PendingOf[]): Promise<readonly PendingOf[]> {
    if (committed === undefined || all.length === 0) return all;
    const some = await committed(all.map(({ subject }) => subject));
    if (some.size === 0) return [];
    return read(some.size, { _id: { $in: [...some].map(idOf) } });
  }

  return {
    collection,
    pending: async (limit) => committedOf(await read(limit, {})),
    async moved(batch) {
      if (batch.length === 0) return;
      const ids = batch.flatMap(({ events }) => events.map(({ id }) => id));
      // One update of them all: one for each document costs the database twice the time.
      await documents().updateMany(
        { _id: { $in: batch.map(({ subject }) => idOf(subject)) } },
        { $pull: { outbox: { id: { $in: ids } } } } as never,
        { maxTimeMS: timeoutMs },
      );
    },
  };
}
