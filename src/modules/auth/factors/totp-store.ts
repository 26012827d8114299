import { randomBytes } from 'node:crypto';
import type { Connection } from 'mongoose';
import type { Encrypted } from '../../../kernel/crypto/encryption';
import { commandTime } from '../../../platform/mongo/command-time';
import { afterNow, asLiterals, noLaterThan, unexpired } from '../../../platform/mongo/expressions';

export const FACTORS_COLLECTION = 'factors';

export interface TotpRow {
  /** 24 hexadecimal digits. */
  readonly _id: string;
  readonly userId: string;
  readonly kind: 'totp';
  readonly name: string;
  readonly secret: Encrypted;
  /** The latest time step whose code was accepted. Neither it nor an earlier one is again. */
  readonly lastStep: number;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date;
  /** Absent while the enrolment is pending. */
  readonly confirmedAt?: Date;
  /** When a pending enrolment expires. */
  readonly until?: Date;
}

/** Written before the factors of a user are removed: older sessions confirm no enrolment. */
interface FenceRow {
  /** `fence` and the id of the user. */
  readonly _id: string;
  readonly userId: string;
  readonly kind: 'fence';
  readonly minVersion: number;
}

export interface TotpStore {
  /** Replaces the pending enrolment of the user. */
  enrol(row: Pick<TotpRow, '_id' | 'userId' | 'name' | 'secret'>): Promise<void>;
  /** The pending one, if it has not expired. */
  pendingOf(userId: string): Promise<TotpRow | null>;
  confirmedOf(userId: string): Promise<TotpRow[]>;
  isEnrolled(userId: string): Promise<boolean>;
  /** Of several concurrent calls, on any host, one gets true. */
  confirm(id: string, userId: string, step: number): Promise<boolean>;
  /**
   * Uses up the step. Of several concurrent calls, on any host, one gets true: the update names the
   * last step that was used. `secret`: encrypted anew.
   */
  use(id: string, userId: string, step: number, secret?: Encrypted): Promise<boolean>;
  /** Removes nothing past `until`. */
  remove(userId: string, id: string, until?: Date): Promise<boolean>;
  /** As of `FactorKind`. */
  removeAll(userId: string, before?: number): Promise<number>;
  purge(userId: string): Promise<void>;
  /**
   * Whether what has this session version enrols no factor any more. To be asked between the read
   * of a pending enrolment and its confirmation: a later removal then takes that row away.
   */
  isFenced(userId: string, version: number): Promise<boolean>;
}

export const factorIndexes = {
  collection: FACTORS_COLLECTION,
  indexes: [
    { key: { userId: 1, kind: 1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

export const ENROLLMENT_SECONDS = 600;
export const newFactorId = (): string => randomBytes(12).toString('hex');

const CONFIRMED = { confirmedAt: { $exists: true } } as const;
const PENDING = { confirmedAt: { $exists: false }, ...unexpired } as const;
const MAX_READ = 20;
const fenceOf = (userId: string) => `fence ${userId}`;

export function createTotpStore(
  connection: Connection,
  { timeoutMs, now }: { timeoutMs: number; now: () => number },
): TotpStore {
  // Buffers, not the driver's Binary: they are decrypted.
  const bounded = { maxTimeMS: timeoutMs, promoteBuffers: true };
  const rows = () => connection.collection<TotpRow>(FACTORS_COLLECTION);
  const fences = () => connection.collection<FenceRow>(FACTORS_COLLECTION);
  const kind = 'totp' as const;
  const primary = { readPreference: 'primary' } as const;
  return {
    async enrol({ _id, ...row }) {
      await rows().deleteMany(
        { userId: row.userId, kind, confirmedAt: { $exists: false } },
        { maxTimeMS: timeoutMs },
      );
      const times = { createdAt: '$$NOW', until: afterNow(ENROLLMENT_SECONDS * 1000) };
      const fields = { ...asLiterals({ ...row, kind, lastStep: 0 }), ...times };
      await rows().updateOne({ _id }, [{ $set: fields }], { maxTimeMS: timeoutMs, upsert: true });
    },
    pendingOf: (userId) => rows().findOne({ userId, kind, ...PENDING }, { ...bounded, ...primary }),
    confirmedOf: (userId) =>
      rows()
        .find({ userId, kind, ...CONFIRMED }, bounded)
        .limit(MAX_READ)
        .toArray(),
    isEnrolled: async (userId) =>
      (await rows().findOne(
        { userId, kind, ...CONFIRMED },
        { maxTimeMS: timeoutMs, projection: { _id: 1 } },
      )) !== null,
    async confirm(_id, userId, step) {
      const change = [
        { $set: { confirmedAt: '$$NOW', lastUsedAt: '$$NOW', lastStep: step } },
        { $unset: 'until' },
      ];
      const { inTime, assertInTime } = commandTime(now, timeoutMs);
      const pending = { _id, userId, $and: [PENDING, inTime] };
      const options = { maxTimeMS: timeoutMs };
      const { modifiedCount } = await rows().updateOne(pending, change, options);
      if (modifiedCount === 0) assertInTime();
      return modifiedCount === 1;
    },
    async use(_id, userId, step, secret) {
      const { matchedCount } = await rows().updateOne(
        { _id, userId, ...CONFIRMED, lastStep: { $lt: step } },
        {
          $set: { lastStep: step, ...(secret && { secret }) },
          $currentDate: { lastUsedAt: true },
        },
        { maxTimeMS: timeoutMs },
      );
      return matchedCount === 1;
    },
    async remove(userId, _id, until) {
      const { deletedCount } = await rows().deleteOne(
        { _id, userId, kind, ...CONFIRMED, ...noLaterThan(until) },
        { maxTimeMS: timeoutMs },
      );
      return deletedCount === 1;
    },
    async removeAll(userId, before) {
      if (before !== undefined) {
        const fence = { $set: { userId, kind: 'fence' as const }, $max: { minVersion: before } };
        const options = { maxTimeMS: timeoutMs, upsert: true };
        await fences().updateOne({ _id: fenceOf(userId) }, fence, options);
      }
      const { inTime, assertInTime } = commandTime(now, timeoutMs);
      const all = { userId, kind, ...inTime };
      const { deletedCount } = await rows().deleteMany(all, { maxTimeMS: timeoutMs });
      if (deletedCount === 0) assertInTime();
      return deletedCount;
    },
    async purge(userId) {
      await rows().deleteMany({ userId }, { maxTimeMS: timeoutMs });
    },
    async isFenced(userId, version) {
      const fence = { _id: fenceOf(userId), minVersion: { $gt: version } };
      const options = { maxTimeMS: timeoutMs, projection: { _id: 1 }, ...primary };
      return (await fences().findOne(fence, options)) !== null;
    },
  };
}
