import type { Role } from '../../kernel/permissions';
import type { Cache, TypedCache } from '../../platform/cache/port';
import type { Representation } from '../../platform/http/conditional';
import { isEmailVerified, type KeptSession, type UserDocument } from './model';
import { etagOf, privateEtagOf, privateViewOf, viewOf } from './view';

/** A symbol: JSON.stringify leaves it out. */
const PRIVATE_VIEW = Symbol('private view');

/**
 * A user as every request needs it: the members for authorisation, and the answer's bytes. No hash,
 * no secret.
 */
export interface CachedUser {
  readonly id: string;
  readonly role: Role;
  readonly emailVerified: boolean;
  readonly status: 'active' | 'banned';
  /** When the ban ends by itself, ms since the epoch; the first read after it lifts it. */
  readonly banEndsMs?: number;
  readonly sessionVersion: number;
  readonly kept: KeptSession | null;
  /** Sessions whose access tokens must no longer be accepted. */
  readonly revoked: readonly string[];
  /** In ms since the epoch; absent where no login is known. */
  readonly lastLoginMs?: number;
  readonly etag: string;
  /** The JSON of the view, ready to send. */
  readonly body: Buffer;
  /** JSON of the private members; absent where the user has none. */
  readonly hidden?: string;
  [PRIVATE_VIEW]?: Representation;
}

export type CachedFields = Omit<
  UserDocument,
  'passwordHash' | 'nameKey' | 'emailKey' | 'searchKeys' | 'searchText' | 'searchAll' | 'outbox'
>;

export const userGroup = (id: string): string => `user:${id}`;
export const LIST_GROUP = 'list';

const NOTHING_HIDDEN = JSON.stringify(privateViewOf({ status: 'active' }));

export function toCached(user: CachedFields): CachedUser {
  const hidden = JSON.stringify(privateViewOf(user));
  return {
    id: user._id.toHexString(),
    role: user.role,
    emailVerified: isEmailVerified(user),
    status: user.status,
    sessionVersion: user.sessionVersion,
    kept: user.keptSession ?? null,
    revoked: user.revokedSessions.map((one) => one.sid),
    ...(user.lastLoginAt === undefined ? {} : { lastLoginMs: user.lastLoginAt.getTime() }),
    etag: etagOf(user._id.toHexString(), user.rev, user.lastLoginAt),
    body: Buffer.from(JSON.stringify(viewOf(user))),
    ...(hidden === NOTHING_HIDDEN ? {} : { hidden }),
    ...(user.status === 'banned' && user.bannedUntil !== undefined
      ? { banEndsMs: user.bannedUntil.getTime() }
      : {}),
  };
}

/** The user with the private members, for administrators; made once for a cached entry. */
export function withPrivateMembers(user: CachedUser): Representation {
  user[PRIVATE_VIEW] ??= {
    etag: privateEtagOf(user.etag),
    body: Buffer.from(
      `${user.body.toString('utf8').slice(0, -1)},${(user.hidden ?? NOTHING_HIDDEN).slice(1)}`,
    ),
  };
  return user[PRIVATE_VIEW];
}

/** One header line of JSON, then the body as it is: reading it back copies nothing of the body. */
function encode({ body, ...header }: CachedUser): Buffer {
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body]);
}

export type Standing = Pick<CachedUser, 'status' | 'sessionVersion' | 'kept' | 'revoked'>;

/**
 * Whether a session of which a token or a record of version `ver` is at hand still stands. The one
 * rule of revocation.
 */
export function sessionStands(user: Standing, sid: string, ver: number): boolean {
  if (user.status !== 'active' || user.revoked.includes(sid)) return false;
  return (
    ver === user.sessionVersion ||
    (user.kept !== null &&
      user.kept.sid === sid &&
      ver >= user.kept.ver &&
      ver < user.sessionVersion)
  );
}

function decode(bytes: Buffer): CachedUser {
  const end = bytes.indexOf(10);
  if (end < 0) throw new Error('a cached user without a header line');
  const header = JSON.parse(bytes.toString('utf8', 0, end)) as Omit<CachedUser, 'body'>;
  return { ...header, body: bytes.subarray(end + 1) };
}

/** `user.v6`: raise the number with every change of CachedUser's shape, or of the view. */
export function cachedUsers(
  cache: Cache,
  load: (id: string) => Promise<CachedFields | null>,
): TypedCache<CachedUser> {
  return cache.define<CachedUser>({
    name: 'user.v6',
    group: userGroup,
    load: async (id) => {
      const user = await load(id);
      return user === null ? null : toCached(user);
    },
    encode,
    decode,
  });
}
