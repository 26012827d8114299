import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, mongo } from 'mongoose';
import { backoffMs } from '../../kernel/lifecycle';
import { exactReads } from '../mongo/exact-reads';
import type { IndexedCollection } from '../mongo/indexed-collection';
import type { PendingEvent } from '../outbox/pending-event';

/** An event in the log. */
export interface LoggedEvent extends PendingEvent {
  /** Its place: 1 for the first event of all, and without gaps. */
  readonly sequence: number;
  /** Its subject: the id of a user. */
  readonly subject: string;
}

export type NewEvent = Omit<LoggedEvent, 'sequence'>;

interface ReadOptions {
  /** Default: every type. */
  readonly types?: readonly string[];
  readonly limit: number;
  /** The greatest sequence to be read. Default: all that there is. */
  readonly upTo?: number;
}

/**
 * Events in one order for everyone. An event is appended at the next number alone, and once: the
 * unique keys of the database ensure it for concurrent and for delayed writers. So a reader that
 * goes on after the last number that it has seen misses nothing.
 */
export interface EventLog {
  /** In this order. Those that are in the log already are left out. */
  append(events: readonly NewEvent[]): Promise<void>;
  /** Those after `after`, in order. */
  read(after: number, options: ReadOptions): Promise<LoggedEvent[]>;
  /** The types of the events with these sequences, as far as they are kept. */
  typesOf(sequences: readonly number[]): Promise<ReadonlyMap<number, string>>;
  /** The last `limit` events of one subject, in order. */
  ofSubject(subject: string, limit: number): Promise<LoggedEvent[]>;
  /** The sequence of the last event; 0 where there was none. */
  latest(): Promise<number>;
  /**
   * The same, with events that a failover may still take back. A new primary may know for a moment
   * of fewer that it will not, than its predecessor has shown.
   */
  reached(): Promise<number>;
  /** The sequence of the oldest event that is kept; 1 where there was none. */
  oldest(): Promise<number>;
  /** The sequence of an event; undefined: it is not in the log. */
  sequenceOf(id: string): Promise<number | undefined>;
  /** Removes the oldest `limit` events at most, those before `before`; the last one stays. */
  removeBefore(before: Date, limit: number): Promise<number>;
}

export const EVENTS_COLLECTION = 'events';
const ONCE = 'event_once';

export const eventLogIndexes: IndexedCollection = {
  collection: EVENTS_COLLECTION,
  indexes: [
    { key: { id: 1 }, name: ONCE, unique: true },
    { key: { subject: 1, _id: 1 }, name: 'by_subject' },
  ],
};

type Stored = Omit<LoggedEvent, 'sequence'> & { readonly _id: number };

const toLogged = ({ _id, ...rest }: Stored): LoggedEvent => ({ sequence: _id, ...rest });

/** In a row: some other writer got on each time. */
const OVERTAKEN_MAX = 100;
/** In one command. */
const APPEND_MAX = 1000;

export function createEventLog(
  connection: Connection,
  { timeoutMs }: { readonly timeoutMs: number },
): EventLog {
  const stored = () => connection.collection<Stored>(EVENTS_COLLECTION);
  /** Readers go on after what they have seen: none of it may get another number, or go away. */
  const exact = exactReads(connection, timeoutMs);
  const local = { maxTimeMS: timeoutMs, readPreference: 'primary' } as const;

  async function edge(direction: 1 | -1, how: typeof local = exact): Promise<number | undefined> {
    const options = { ...how, projection: { _id: 1 }, sort: { _id: direction } };
    return (await stored().findOne({}, options))?._id;
  }
  const latest = async () => (await edge(-1)) ?? 0;
  const reached = async () => (await edge(-1, local)) ?? 0;

  /**
   * Inserts in order from `next` on and stops at the first that is refused. Resolves with the
   * number of events in the log now, and the error of the refusal.
   */
  async function insertFrom(next: number, events: readonly NewEvent[]) {
    const documents = events.map((event, i): Stored => ({ _id: next + i, ...event }));
    try {
      await stored().insertMany(documents, { ordered: true, maxTimeMS: timeoutMs });
      return { count: documents.length, refusal: undefined };
    } catch (error) {
      const { writeErrors } = error as Partial<mongo.MongoBulkWriteError>;
      const [first] = writeErrors === undefined ? [] : [writeErrors].flat();
      if (first?.code !== 11000) throw error;
      const isRepeated = first.errmsg?.includes(` index: ${ONCE} `) === true;
      return { count: first.index, refusal: isRepeated ? 'repeated' : 'overtaken' } as const;
    }
  }

  return {
    latest,
    reached,
    async append(events) {
      let rest = events;
      let next: number | undefined;
      for (let overtaken = 0; rest.length > 0; ) {
        // Another writer has this number already.
        next ??= (await reached()) + 1;
        const { count, refusal } = await insertFrom(next, rest.slice(0, APPEND_MAX));
        rest = rest.slice(refusal === 'repeated' ? count + 1 : count);
        if (refusal !== 'overtaken') {
          next += count;
          continue;
        }
        // Another writer was faster: its events come first.
        next = undefined;
        overtaken = count > 0 ? 0 : overtaken + 1;
        if (overtaken > OVERTAKEN_MAX) throw new Error('too many writers of the event log');
        await pause(backoffMs(overtaken, 1, 20));
      }
    },
    async read(after, { types, limit, upTo }) {
      const range = { $gt: after, ...(upTo === undefined ? {} : { $lte: upTo }) };
      const filter = {
        _id: range,
        ...(types === undefined ? {} : { type: { $in: [...types] } }),
      };
      const found = await stored()
        .find(filter, { ...exact, sort: { _id: 1 }, limit })
        .toArray();
      return found.map(toLogged);
    },
    async typesOf(sequences) {
      const options = { ...exact, projection: { type: 1 } as const };
      const found = await stored()
        .find({ _id: { $in: [...sequences] } }, options)
        .toArray();
      return new Map(found.map(({ _id, type }) => [_id, type]));
    },
    async ofSubject(subject, limit) {
      const options = { ...exact, sort: { _id: -1 as const }, limit };
      const found = await stored().find({ subject }, options).toArray();
      return found.reverse().map(toLogged);
    },
    oldest: async () => (await edge(1)) ?? 1,
    async sequenceOf(id) {
      return (await stored().findOne({ id }, { ...exact, projection: { _id: 1 } }))?._id;
    },
    async removeBefore(before, limit) {
      const options = { ...exact, projection: { at: 1 }, sort: { _id: 1 as const }, limit };
      const oldest = await stored().find({}, options).toArray();
      const kept = oldest.findIndex(({ at }) => at >= before);
      const last = oldest[(kept === -1 ? oldest.length : kept) - 1]?._id;
      if (last === undefined) return 0;
      const end = Math.min(last, (await latest()) - 1);
      const { deletedCount } = await stored().deleteMany(
        { _id: { $lte: end } },
        { maxTimeMS: timeoutMs },
      );
      return deletedCount;
    },
  };
}
