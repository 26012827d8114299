import { randomBytes } from 'node:crypto';
import type { Counts } from './counts';
import { hashOf } from './hash';
import type { Link } from './link';
import { STAMP } from './scripts';

/** What a near copy was read under. It still holds while Redis shows the same. */
export interface Mark {
  readonly bucket: number;
  /** The table's life: another one after it was lost, or with another generation of keys. */
  readonly lineage: number;
  readonly count: number;
}

/**
 * Write stamps: one string in Redis that counts the writes of every group, so that one read of it renews all near copies
 * of a worker whose groups nobody has written. Groups share counters by hash: a write costs some strangers a read.
 */
export interface Stamps {
  /** What the table showed when it was last seen, however long ago; undefined: not seen yet. Ask it before a read begins. */
  mark(group: string): Mark | undefined;
  /** When the look began (monotonic ms) that last showed the table, if it still shows this mark; else undefined. */
  confirmed(mark: Mark): number | undefined;
  /** Looks at the table, unless a look is under way or began less than half of τ ago. Nobody waits for it. */
  look(at: number): void;
  /** After this every look shows other marks for these groups. */
  stamp(generation: string, groups: readonly string[]): Promise<void>;
}

export interface StampsOptions {
  readonly link: Pick<Link, 'send' | 'run'>;
  readonly prefix: string;
  readonly nearTtlMs: number;
  readonly counts: Counts;
  generation(): string | undefined;
}

interface Board {
  readonly began: number;
  readonly generation: string;
  readonly lineage: number;
  readonly bytes: Buffer;
}

const LAYOUT = 's1';
/** 4 KB: read up to forty times a second and worker, it costs about as much as one read of a user. */
const BUCKETS = 1024;
const COUNT_BYTES = 4;
/** A table that was lost and made anew never looks like the old one. */
const HEADER_BYTES = 16;
const TABLE_BYTES = HEADER_BYTES + BUCKETS * COUNT_BYTES;
const TABLE_TTL_MS = 3_600_000;

export const bucketOf = (group: string): number => hashOf(group) & (BUCKETS - 1);

export function createStamps({ link, prefix, nearTtlMs, counts, generation }: StampsOptions): Stamps {
  let board: Board | undefined;
  let underWay = false;
  let askedAt = Number.NEGATIVE_INFINITY;

  const keyOf = (of: string): string => `${prefix}:${LAYOUT}:${of}:{stamps}`;
  const countOf = ({ bytes }: Board, bucket: number): number => bytes.readUInt32BE(HEADER_BYTES + bucket * COUNT_BYTES);

  const continues = (before: Board, of: string, bytes: Buffer): boolean =>
    before.generation === of && before.bytes.compare(bytes, 0, HEADER_BYTES, 0, HEADER_BYTES) === 0;

  async function see(began: number, of: string): Promise<void> {
    counts.stampLooks += 1;
    const key = keyOf(of);
    const bytes = (await link.send(key, ['GET', key])) as Buffer | null;
    if (generation() !== of) return;
    if (bytes?.length === TABLE_BYTES) {
      const lineage = board !== undefined && continues(board, of, bytes) ? board.lineage : (board?.lineage ?? 0) + 1;
      board = { began, generation: of, lineage, bytes };
      return;
    }
    const empty = Buffer.alloc(TABLE_BYTES);
    randomBytes(HEADER_BYTES).copy(empty);
    await link.send(key, ['SET', key, empty, 'NX', 'PX', String(TABLE_TTL_MS)]);
  }

  return {
    mark(group) {
      if (board === undefined) return undefined;
      const bucket = bucketOf(group);
      return { bucket, lineage: board.lineage, count: countOf(board, bucket) };
    },
    confirmed({ bucket, lineage, count }) {
      return board?.lineage === lineage && countOf(board, bucket) === count ? board.began : undefined;
    },
    look(at) {
      if (underWay || at - askedAt < nearTtlMs / 2) return;
      const of = generation();
      if (of === undefined) return;
      underWay = true;
      askedAt = at;
      see(at, of)
        .catch(() => {
          counts.redisErrors += 1;
        })
        .finally(() => {
          underWay = false;
        });
    },
    async stamp(of, groups) {
      const offsets = groups.map((group) => String(HEADER_BYTES / COUNT_BYTES + bucketOf(group)));
      await link.run(STAMP, [keyOf(of)], [String(TABLE_TTL_MS), ...offsets]);
    },
  };
}
