import { randomBytes } from 'node:crypto';
import type { RedisConnection } from '../redis/connection';
import type { Counts } from './cache-metrics';
import { hashOf } from './hash';
import { INCREMENT_COUNTERS, READ_COUNTERS } from './scripts';

/**
 * A counter as it was before a local entry was read. The entry holds while the counter is equal.
 */
export interface CounterSnapshot {
  readonly bucket: number;
  /** Changes when the table was lost and made anew, and with the generation of keys. */
  readonly lineage: number;
  readonly count: number;
}

/**
 * One string in Redis that counts the writes of every group. One read of it renews all local
 * entries of a worker whose groups were not written. Groups share counters by hash, so a write
 * costs some unrelated groups a read.
 */
export interface InvalidationCounters {
  /**
   * The group's counter in the last table that was read, however long ago; undefined: none was.
   * Take it before a read begins.
   */
  snapshot(group: string): CounterSnapshot | undefined;
  /** When the last read of the table began (monotonic ms), if it equals the snapshot. */
  confirmedAt(snapshot: CounterSnapshot): number | undefined;
  /** Starts a read of the table, unless one is under way or began less than τ/2 ago. */
  refresh(at: number): void;
  /** After this every read of the table shows other counters for these groups. */
  increment(generation: string, groups: readonly string[]): Promise<void>;
}

export interface InvalidationCountersOptions {
  readonly redis: Pick<RedisConnection, 'send' | 'run'>;
  readonly prefix: string;
  readonly nearTtlMs: number;
  readonly counts: Counts;
  generation(): string | undefined;
}

interface Table {
  readonly began: number;
  readonly generation: string;
  readonly lineage: number;
  readonly bytes: Buffer;
}

const LAYOUT = 's1';
/** 4 KB: read up to forty times a second by each worker, it costs about one read of a user. */
const BUCKETS = 1024;
const COUNT_BYTES = 4;
/** Random, so that a table that was lost and made anew never equals the old one. */
const HEADER_BYTES = 16;
const TABLE_BYTES = HEADER_BYTES + BUCKETS * COUNT_BYTES;
const TABLE_TTL_MS = 3_600_000;

export const bucketOf = (group: string): number => hashOf(group) & (BUCKETS - 1);

export function createInvalidationCounters({
  redis,
  prefix,
  nearTtlMs,
  counts,
  generation,
}: InvalidationCountersOptions): InvalidationCounters {
  let table: Table | undefined;
  let isReading = false;
  let startedAt = Number.NEGATIVE_INFINITY;

  const keyOf = (of: string): string => `${prefix}:${LAYOUT}:${of}:{stamps}`;
  const countOf = ({ bytes }: Table, bucket: number): number =>
    bytes.readUInt32BE(HEADER_BYTES + bucket * COUNT_BYTES);

  const continues = (before: Table, of: string, bytes: Buffer): boolean =>
    before.generation === of && before.bytes.compare(bytes, 0, HEADER_BYTES, 0, HEADER_BYTES) === 0;

  async function read(began: number, of: string): Promise<void> {
    counts.counterReads += 1;
    const key = keyOf(of);
    const bytes = (await redis.run(READ_COUNTERS, [key], [])) as Buffer | null;
    if (generation() !== of) return;
    if (bytes?.length === TABLE_BYTES) {
      const lineage =
        table !== undefined && continues(table, of, bytes)
          ? table.lineage
          : (table?.lineage ?? 0) + 1;
      table = { began, generation: of, lineage, bytes };
      return;
    }
    const empty = Buffer.alloc(TABLE_BYTES);
    randomBytes(HEADER_BYTES).copy(empty);
    await redis.send(key, ['SET', key, empty, 'NX', 'PX', String(TABLE_TTL_MS)]);
  }

  return {
    snapshot(group) {
      if (table === undefined) return undefined;
      const bucket = bucketOf(group);
      return { bucket, lineage: table.lineage, count: countOf(table, bucket) };
    },
    confirmedAt({ bucket, lineage, count }) {
      return table?.lineage === lineage && countOf(table, bucket) === count
        ? table.began
        : undefined;
    },
    refresh(at) {
      if (isReading || at - startedAt < nearTtlMs / 2) return;
      const of = generation();
      if (of === undefined) return;
      isReading = true;
      startedAt = at;
      read(at, of)
        .catch(() => {
          counts.redisErrors += 1;
        })
        .finally(() => {
          isReading = false;
        });
    },
    async increment(of, groups) {
      const offsets = groups.map((group) => String(HEADER_BYTES / COUNT_BYTES + bucketOf(group)));
      await redis.run(INCREMENT_COUNTERS, [keyOf(of)], [String(TABLE_TTL_MS), ...offsets]);
    },
  };
}
