import type { Collection } from 'mongoose';
import { randomToken } from '../../kernel/crypto/random';
import { withTimeout } from '../../kernel/lifecycle';

/**
 * The state of the Redis entries of one key prefix, for all processes. Stored in MongoDB, which
 * every write must reach anyway.
 */
export interface EpochState {
  /** Part of every key in Redis; grows each time the Redis entries are enabled again. */
  readonly epoch: number;
  /** While true, no worker reads or fills Redis entries. */
  readonly suspended: boolean;
  /** Grows with every suspension, renewals included. */
  readonly beat: number;
  /** The Redis data set in use (Deployment.identify). */
  readonly dataset: string;
}

/** The settings of a process that all others must know of. */
export interface MemberSettings {
  /** τ: the lifetime of its local entries. */
  readonly nearTtlMs: number;
  /** Where its Redis entries are (`cacheName`). */
  readonly cache: string;
}

/** Stands for all processes with the same settings, while one of them keeps sending heartbeats. */
export interface Member extends MemberSettings {
  readonly name: string;
  /** Changes when the member is removed and registered again. */
  readonly id: string;
  readonly beat: number;
  /** Registered for so long that every writer knows of it. */
  readonly settled: boolean;
}

interface EpochStoreContent {
  /** The state of each key prefix that this database has ever seen. */
  readonly states: ReadonlyMap<string, EpochState>;
  readonly members: readonly Member[];
}

export interface EpochStore {
  read(): Promise<EpochStoreContent>;
  /** Does nothing where the prefix exists. */
  create(name: string, first: EpochState): Promise<void>;
  /** Disables the Redis entries of a prefix, or renews their suspension. */
  suspend(name: string): Promise<EpochState>;
  /** Enables them under a new epoch, unless the state has changed since `seen`. */
  resume(name: string, seen: EpochState, dataset: string): Promise<void>;
  /** Registers a member, or sends another heartbeat for it. */
  join(settings: MemberSettings): Promise<Member>;
  /** Marks a member as known to every writer. False: it was removed meanwhile. */
  settle(member: Member): Promise<boolean>;
  /** Removes a member, unless a heartbeat came meanwhile. */
  remove(member: Member): Promise<void>;
}

/** One document for each key prefix (`_id`), in the layout that every version has written. */
export interface EpochDocument {
  readonly _id: string;
  readonly epoch?: number;
  readonly suspended?: boolean;
  readonly beat: number;
  readonly dataset?: string;
  /** The fields of a member. */
  readonly id?: string;
  readonly nearTtlMs?: number;
  readonly cache?: string;
  readonly settled?: boolean;
}

const DURABLE = { writeConcern: { w: 'majority', j: true } } as const;

export const EPOCH_COLLECTION = 'cache_ledger';
/** Bounds each call. Well below the validity of a read (VALID_MS in epoch-view.ts). */
export const EPOCH_STORE_TIMEOUT_MS = 1000;

export const NO_REDIS = 'no Redis';
/**
 * Processes share Redis entries only where both are the same. Servers are told apart by their data
 * sets.
 */
export const cacheName = (prefix: string, database: number): string =>
  `Redis database ${database}, prefix ${prefix}`;

/** A key prefix cannot contain `#`. */
export const NAMES = '#names';
const MEMBER = '#member:';
const memberName = ({ nearTtlMs, cache }: MemberSettings): string =>
  `${MEMBER}${nearTtlMs} ms, ${cache}`;

const stateOf = ({
  epoch = 1,
  suspended = false,
  beat,
  dataset = '',
}: EpochDocument): EpochState => ({
  epoch,
  suspended,
  beat,
  dataset,
});

function memberOf({
  _id,
  id = '',
  beat,
  nearTtlMs = 0,
  cache = NO_REDIS,
  settled = false,
}: EpochDocument): Member {
  return { name: _id, id, beat, nearTtlMs, cache, settled };
}

function contentOf(documents: readonly EpochDocument[]): EpochStoreContent {
  const states = new Map<string, EpochState>();
  const members: Member[] = [];
  for (const one of documents) {
    if (one._id.startsWith(MEMBER)) members.push(memberOf(one));
    else if (one._id !== NAMES) states.set(one._id, stateOf(one));
  }
  return { states, members };
}

/** Reads are majority reads: a failover cannot roll back what they have returned. */
export function createMongoEpochStore(
  collection: () => Collection<EpochDocument>,
  timeoutMs = EPOCH_STORE_TIMEOUT_MS,
): EpochStore {
  const bounded = <T>(work: Promise<T>): Promise<T> =>
    withTimeout(work, timeoutMs, 'the cache epoch store');
  const limits = { maxTimeMS: timeoutMs };
  const upserted = { ...limits, ...DURABLE, upsert: true, returnDocument: 'after' } as const;
  const written = <T>(document: T | null): T => {
    if (document === null) throw new Error('the cache epoch store was not written');
    return document;
  };
  return {
    async read() {
      return contentOf(
        await bounded(
          collection()
            .find({}, { ...limits, readPreference: 'primary', readConcern: 'majority' })
            .toArray(),
        ),
      );
    },
    async create(name, first) {
      await bounded(
        collection().findOneAndUpdate({ _id: name }, { $setOnInsert: first }, upserted),
      );
    },
    async suspend(name) {
      const change = {
        $set: { suspended: true },
        $inc: { beat: 1 },
        $setOnInsert: { epoch: 1, dataset: '' },
      };
      return stateOf(
        written(await bounded(collection().findOneAndUpdate({ _id: name }, change, upserted))),
      );
    },
    async resume(name, seen, dataset) {
      const unchanged = { _id: name, epoch: seen.epoch, beat: seen.beat, suspended: true };
      await bounded(
        collection().updateOne(
          unchanged,
          { $set: { suspended: false, epoch: seen.epoch + 1, dataset } },
          { ...limits, ...DURABLE },
        ),
      );
    },
    async join(settings) {
      const { nearTtlMs, cache } = settings;
      const first = { nearTtlMs, cache, settled: false, id: randomToken(9) };
      const change = { $inc: { beat: 1 }, $setOnInsert: first };
      return memberOf(
        written(
          await bounded(
            collection().findOneAndUpdate({ _id: memberName(settings) }, change, upserted),
          ),
        ),
      );
    },
    async settle({ name, id }) {
      const done = await bounded(
        collection().updateOne(
          { _id: name, id },
          { $set: { settled: true } },
          { ...limits, ...DURABLE },
        ),
      );
      return done.matchedCount === 1;
    },
    async remove({ name, id, beat }) {
      await bounded(collection().deleteOne({ _id: name, id, beat }, { ...limits, ...DURABLE }));
    },
  };
}
