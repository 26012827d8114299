import type { mongo } from 'mongoose';

/** A log whose entries are numbered without gaps, and go on after the last one. */
export interface NumberedLog {
  readonly rows: mongo.Collection<{ readonly _id: number }>;
  /** Members of the copy of the newest entry. */
  readonly fresh: object;
  /** Readers cannot go on after what they have seen: they begin anew. */
  readonly beginsAnew: boolean;
}

/**
 * After a restore. Readers have seen numbers that the restored log does not have, and would take
 * the next entries for those. So the newest entry gets a number that was never given out: the ms
 * since 1970, as no log grows faster than by a thousand entries a second for long. Resolves with
 * it; undefined: the log is empty. May be repeated, and stopped at any time, while no service runs.
 */
export async function moveNumbers(
  { rows, fresh, beginsAnew }: NumberedLog,
  nowMs: number,
): Promise<number | undefined> {
  const newest = await rows.findOne({}, { sort: { _id: -1 } });
  if (newest === null) return undefined;
  const next = Math.max(Math.floor(nowMs), newest._id + 1);
  await rows.insertOne({ ...newest, ...fresh, _id: next });
  if (beginsAnew) await rows.deleteMany({ _id: { $lt: next } });
  return next;
}
