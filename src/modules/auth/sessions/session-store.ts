import type { Connection } from 'mongoose';
import { sha256 } from '../../../kernel/crypto/digest';
import { commandTime } from '../../../platform/mongo/command-time';
import { afterNow, unexpired } from '../../../platform/mongo/expressions';
import { parseRefreshToken } from './refresh-token';
import type { FoundSession, SessionRow, UsedToken } from './session-row';

export const SESSIONS_COLLECTION = 'sessions';

interface Rotation extends Pick<SessionRow, 'tokenHash' | 'version' | 'userAgent' | 'ipPrefix'> {
  /** The token that is now used, and the answer that its repeats get for `graceSeconds`. */
  readonly used: Omit<UsedToken, 'until'>;
  readonly graceSeconds: number;
  readonly idleSeconds: number;
  /** When the answer's access token expires. */
  readonly accessUntil: Date;
}

interface Renewal extends Pick<SessionRow, 'version'> {
  readonly accessUntil: Date;
  /** The new family of refresh tokens. Absent: the present one goes on. */
  readonly refresh?: Pick<SessionRow, 'family' | 'tokenHash'> | undefined;
  /** Of a step-up, which happens now. */
  readonly stepUp?: { readonly amr: readonly string[]; readonly firstAmr: readonly string[] };
}

interface Marked {
  /** The number of sessions that this call has ended. */
  readonly count: number;
  /** The latest `accessUntil` of all sessions; undefined when one of them has none. */
  readonly accessUntil: Date | undefined;
}

export interface SessionStore {
  insert(row: SessionRow): Promise<void>;
  /**
   * After an `insert` whose outcome is unknown: stores the row as an ended one, so that a late
   * insert fails.
   */
  withdraw(row: SessionRow): Promise<void>;
  find(sid: string): Promise<FoundSession | null>;
  /** Sessions that have not ended, the last used first. */
  ofUser(userId: string, now: Date): Promise<SessionRow[]>;
  /**
   * Replaces the token hash `from`, atomically. False when it is no longer the current one, or the
   * session has ended or expired by the database's clock.
   */
  rotate(sid: string, from: string, to: Rotation): Promise<boolean>;
  /** For new tokens of the session. False when it has ended. */
  renew(sid: string, to: Renewal): Promise<boolean>;
  /** Of the user's sessions, only the first steps count from now on. */
  endStepUps(userId: string, except?: string): Promise<void>;
  /** True at most once in `quietSeconds` for a session, on all hosts together. */
  noteMisuse(sid: string, quietSeconds: number): Promise<boolean>;
  /** After it no access token is issued for these sessions. */
  markEnded(userId: string, sids: readonly string[]): Promise<Marked>;
  remove(userId: string, sids: readonly string[]): Promise<void>;
  /** Removes the sessions of versions below `version`; all of them when it is undefined. */
  removeOlderOf(users: readonly { id: string; sessionVersion: number }[]): Promise<void>;
  removeOlder(userId: string, version: number | undefined, except?: string): Promise<void>;
}

export const sessionIndexes = {
  collection: SESSIONS_COLLECTION,
  indexes: [
    { key: { userId: 1, lastUsedAt: -1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

/** More than a user may have: limits a read after many concurrent logins. */
const MAX_READ = 500;

export function createSessionStore(
  connection: Connection,
  options: { timeoutMs: number; now: () => number },
): SessionStore {
  const bounded = { maxTimeMS: options.timeoutMs };
  const rows = () => connection.collection<SessionRow>(SESSIONS_COLLECTION);
  return {
    async insert(row) {
      await rows().insertOne(row, bounded);
    },
    async withdraw({ _id, userId, until }) {
      // Without a row, the upsert takes its id: a late insert fails with a duplicate key.
      const change = { $currentDate: { endedAt: true as const }, $setOnInsert: { userId, until } };
      await rows().updateOne({ _id, userId }, change, { ...bounded, upsert: true });
    },
    async find(sid) {
      const found = rows().aggregate<FoundSession>(
        [{ $match: { _id: sid } }, { $set: { readAt: '$$NOW' } }],
        {
          ...bounded,
          promoteBuffers: true,
        },
      );
      return (await found.toArray())[0] ?? null;
    },
    ofUser: (userId, now) =>
      rows()
        .find({ userId, until: { $gt: now }, endedAt: { $exists: false } }, bounded)
        .sort({ lastUsedAt: -1 })
        .limit(MAX_READ)
        .toArray(),
    async rotate(sid, from, to) {
      const filter = { _id: sid, tokenHash: from, endedAt: { $exists: false }, ...unexpired };
      return (await rows().updateOne(filter, [{ $set: rotated(to) }], bounded)).matchedCount === 1;
    },
    async renew(sid, { refresh, version, accessUntil, stepUp }) {
      const change = {
        $set: { ...(refresh && { ...refresh, used: [] }), version, ...stepUp },
        $max: { accessUntil },
        ...(stepUp && {
          $currentDate: { authenticatedAt: true as const },
          $unset: { stepUpEnded: true as const },
        }),
      };
      const { inTime, assertInTime } = commandTime(options.now, options.timeoutMs);
      const filter = { _id: sid, endedAt: { $exists: false }, ...inTime };
      const { matchedCount } = await rows().updateOne(filter, change, bounded);
      if (matchedCount === 0) assertInTime();
      return matchedCount === 1;
    },
    async endStepUps(userId, except) {
      const others = except === undefined ? {} : { _id: { $ne: except } };
      await rows().updateMany({ userId, ...others }, { $set: { stepUpEnded: true } }, bounded);
    },
    async noteMisuse(sid, quietSeconds) {
      const last = { $ifNull: ['$misusedAt', new Date(0)] };
      const isQuiet = { $expr: { $lt: [last, afterNow(-quietSeconds * 1000)] } };
      const noting = rows().updateOne(
        { _id: sid, ...isQuiet },
        [{ $set: { misusedAt: '$$NOW' } }],
        bounded,
      );
      return (await noting).modifiedCount === 1;
    },
    async markEnded(userId, sids) {
      const these = { _id: { $in: [...sids] }, userId };
      const marking = rows().updateMany(
        { ...these, endedAt: { $exists: false } },
        [{ $set: { endedAt: '$$NOW' } }],
        bounded,
      );
      const { modifiedCount: count } = await marking;
      const found = await rows()
        .find(these, { ...bounded, projection: { accessUntil: 1 } })
        .toArray();
      const times = found.flatMap(({ accessUntil }) =>
        accessUntil === undefined ? [] : [accessUntil.getTime()],
      );
      return {
        count,
        accessUntil: times.length === sids.length ? new Date(Math.max(...times)) : undefined,
      };
    },
    async remove(userId, sids) {
      await rows().deleteMany({ _id: { $in: [...sids] }, userId }, bounded);
    },
    async removeOlderOf(users) {
      if (users.length === 0) return;
      const removals = users.map(({ id: userId, sessionVersion }) => ({
        deleteMany: { filter: { userId, version: { $lt: sessionVersion } } },
      }));
      await rows().bulkWrite(removals, { ordered: false, ...bounded });
    },
    async removeOlder(userId, version, except) {
      const older = version === undefined ? {} : { version: { $lt: version } };
      await rows().deleteMany(
        { userId, ...older, ...(except === undefined ? {} : { _id: { $ne: except } }) },
        bounded,
      );
    },
  };
}

/** Client input is a `$literal`: in a pipeline a string that begins with `$` names a field. */
function rotated({
  tokenHash,
  version,
  userAgent,
  ipPrefix,
  used,
  graceSeconds,
  idleSeconds,
  accessUntil,
}: Rotation) {
  const live = { $filter: { input: '$used', cond: { $gt: ['$$this.until', '$$NOW'] } } };
  const latest = { $mergeObjects: [{ $literal: used }, { until: afterNow(graceSeconds * 1000) }] };
  return {
    ...{
      tokenHash: { $literal: tokenHash },
      version,
      userAgent: { $literal: userAgent },
      ipPrefix: { $literal: ipPrefix },
    },
    used: { $concatArrays: [live, [latest]] },
    lastUsedAt: '$$NOW',
    until: { $min: [afterNow(idleSeconds * 1000), '$absoluteUntil'] },
    // $max ignores a missing value: older rows do not have this field.
    accessUntil: { $max: ['$accessUntil', accessUntil] },
  };
}

/** The session of a refresh token, current or used. */
export async function findByToken(
  store: SessionStore,
  text: string,
): Promise<FoundSession | undefined> {
  const token = parseRefreshToken(text);
  const row = token === undefined ? null : await store.find(token.sid);
  return row !== null && row.family === sha256(token?.family ?? '') ? row : undefined;
}
