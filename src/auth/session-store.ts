import type { Connection } from 'mongoose';
import type { Sealed } from './sealing';

export const SESSIONS_COLLECTION = 'sessions';

/** A used refresh token inside its grace window, with the answer it got, sealed under that very token. */
export interface UsedToken {
  readonly hash: string;
  readonly until: Date;
  readonly answer: Sealed;
}

export interface SessionRow {
  /** The session's id, 24 hexadecimal digits; `sid` of its access tokens. */
  readonly _id: string;
  readonly userId: string;
  /** SHA-256 of the family proof of its refresh tokens. */
  readonly family: string;
  /** SHA-256 of the one refresh token that is good. */
  readonly tokenHash: string;
  readonly used: readonly UsedToken[];
  /** Session version of the user when the present access token was issued. */
  readonly version: number;
  readonly createdAt: Date;
  readonly lastUsedAt: Date;
  /** Idle end, never after the absolute one. Rows past it are ended whether or not they are still there. */
  readonly until: Date;
  readonly absoluteUntil: Date;
  readonly userAgent: string;
  readonly ipPrefix: string;
  /** Set first when a session is ended: from here on no refresh succeeds. */
  readonly endedAt?: Date;
}

export type Rotation = Pick<SessionRow, 'tokenHash' | 'used' | 'version' | 'lastUsedAt' | 'until' | 'userAgent' | 'ipPrefix'>;

export interface SessionStore {
  insert(row: SessionRow): Promise<void>;
  find(sid: string): Promise<SessionRow | null>;
  /** The newest first. Ended ones are not among them. */
  ofUser(userId: string, now: Date): Promise<SessionRow[]>;
  /** One atomic step: only the holder of `from` wins, and only once. */
  rotate(sid: string, from: string, to: Rotation): Promise<boolean>;
  markEnded(userId: string, sids: readonly string[], now: Date): Promise<void>;
  remove(userId: string, sids: readonly string[]): Promise<void>;
  /** Records of versions before `version`, or all when there is no user left to have one. */
  removeOlder(userId: string, version: number | undefined, except?: string): Promise<void>;
}

export const sessionIndexes = {
  collection: SESSIONS_COLLECTION,
  indexes: [
    { key: { userId: 1, lastUsedAt: -1 }, name: 'by_user' },
    { key: { until: 1 }, name: 'expiry', expireAfterSeconds: 3600 },
  ],
} as const;

/** More than a user may have: bounds the reads if many logins came at once. */
const MAX_READ = 500;

export function createSessionStore(connection: Connection, options: { timeoutMs: number }): SessionStore {
  const bounded = { maxTimeMS: options.timeoutMs };
  const rows = () => connection.collection<SessionRow>(SESSIONS_COLLECTION);
  return {
    async insert(row) {
      await rows().insertOne(row);
    },
    find: (sid) => rows().findOne({ _id: sid }, { ...bounded, promoteBuffers: true }),
    ofUser: (userId, now) =>
      rows()
        .find({ userId, until: { $gt: now }, endedAt: { $exists: false } }, bounded)
        .sort({ lastUsedAt: -1 })
        .limit(MAX_READ)
        .toArray(),
    async rotate(sid, from, to) {
      const before = await rows().findOneAndUpdate(
        { _id: sid, tokenHash: from, endedAt: { $exists: false } },
        { $set: to },
        { ...bounded, projection: { _id: 1 } },
      );
      return before !== null;
    },
    async markEnded(userId, sids, now) {
      await rows().updateMany({ _id: { $in: [...sids] }, userId, endedAt: { $exists: false } }, { $set: { endedAt: now } }, bounded);
    },
    async remove(userId, sids) {
      await rows().deleteMany({ _id: { $in: [...sids] }, userId }, bounded);
    },
    async removeOlder(userId, version, except) {
      const older = version === undefined ? {} : { version: { $lt: version } };
      await rows().deleteMany({ userId, ...older, ...(except === undefined ? {} : { _id: { $ne: except } }) }, bounded);
    },
  };
}
