import type { Cache, Region } from '../cache/port';
import type { KeptSession, UserDocument } from './model';
import type { Role } from './roles';
import { etagOf, viewOf } from './view';

/** A user as every request needs it: what authorisation asks, and the answer's bytes. No hash, no secret. */
export interface CachedUser {
  readonly id: string;
  readonly role: Role;
  readonly status: 'active' | 'banned';
  readonly sessionVersion: number;
  readonly kept: KeptSession | null;
  /** Sessions whose access tokens must no longer be accepted. */
  readonly revoked: readonly string[];
  readonly etag: string;
  /** The JSON of the view, ready to send. */
  readonly body: Buffer;
}

export type CachedFields = Omit<UserDocument, 'passwordHash' | 'nameKey' | 'emailKey' | 'verifiedEmailKey'>;

export const userGroup = (id: string): string => `user:${id}`;
export const LIST_GROUP = 'list';

export function toCached(user: CachedFields): CachedUser {
  return {
    id: user._id.toHexString(),
    role: user.role,
    status: user.status,
    sessionVersion: user.sessionVersion,
    kept: user.keptSession ?? null,
    revoked: user.revokedSessions.map((one) => one.sid),
    etag: etagOf(user._id.toHexString(), user.rev),
    body: Buffer.from(JSON.stringify(viewOf(user))),
  };
}

/** One header line of JSON, then the body as it is: reading it back copies nothing of the body. */
function encode({ body, ...header }: CachedUser): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

/** Whether a session of which a token or a record of version `ver` is at hand still stands. The one rule of revocation. */
export function sessionStands(user: CachedUser, sid: string, ver: number): boolean {
  if (user.status !== 'active' || user.revoked.includes(sid)) return false;
  return ver === user.sessionVersion || (user.kept !== null && user.kept.sid === sid && ver >= user.kept.ver && ver < user.sessionVersion);
}

function decode(bytes: Buffer): CachedUser {
  const end = bytes.indexOf(10);
  if (end < 0) throw new Error('a cached user without a header line');
  const header = JSON.parse(bytes.toString('utf8', 0, end)) as Omit<CachedUser, 'body'>;
  return { ...header, body: bytes.subarray(end + 1) };
}

/** `user.v2`: raise the number with every change of CachedUser's shape, or of the view. */
export function cachedUsers(cache: Cache, load: (id: string) => Promise<CachedFields | null>): Region<CachedUser> {
  return cache.region<CachedUser>({
    name: 'user.v2',
    group: userGroup,
    load: async (id) => {
      const user = await load(id);
      return user === null ? null : toCached(user);
    },
    encode,
    decode,
  });
}
