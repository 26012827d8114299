import { z } from 'zod';
import { shownId, shownText, shownTime } from '../../platform/http/view-schemas';
import { isObject, objectMeta } from './metadata/json';
import { isEmailVerified, type JsonObject, type UserDocument } from './model';

const shownMetadata = (description: string) =>
  z.custom<JsonObject>(isObject, 'must be an object').meta(objectMeta(description));

export const EXTERNAL_ID_MAX = 128;

/** A user as the user and administrators see it, and never anything else. */
export const userView = z
  .object({
    id: shownId('Id of the user.'),
    name: shownText(100, 'Name as shown.', 'Ada Lovelace'),
    email: shownText(254, 'E-mail address.', 'ada@example.org'),
    email_verified: z
      .boolean()
      .meta({ description: 'Whether the user has proven to read this address.', examples: [true] }),
    role: shownText(
      64,
      'Gives the account its permissions: `admin` all, `user` none. One that has left the setting ROLES is shown, and gives none.',
      'user',
    ),
    status: z
      .enum(['active', 'banned'])
      .meta({ description: 'A banned user cannot sign in.', examples: ['active'] }),
    external_id: shownText(
      EXTERNAL_ID_MAX,
      'Id of the user in another system, unique; null where none was given.',
      'crm-4711',
    ).nullable(),
    user_metadata: shownMetadata('JSON that the user may write; `{}` where there is none.'),
    app_metadata: shownMetadata(
      'JSON that administrators and service accounts write and the user reads.',
    ),
    created_at: shownTime('When the account was made.'),
    updated_at: shownTime('When something of this was last changed; a login changes nothing.'),
    last_login_at: shownTime(
      'A login, at most an hour older than the last; null where none is known.',
    ).nullable(),
  })
  .meta({ id: 'User' });

export type UserView = z.output<typeof userView>;

/** Of another user, for administrators. A user never sees these members of its own account. */
const privateMembers = {
  private_metadata: shownMetadata('JSON that administrators read and write, never the user.'),
  ban: z
    .object({
      until: shownTime('When the ban ends; null: when it is lifted.').nullable(),
      reason: shownText(500, 'Reason of the ban, for administrators.', 'spam').nullable(),
    })
    .nullable()
    .meta({ description: 'The ban of a banned user; null where there is none.' }),
  password_change_required: z.boolean().meta({
    description: 'Whether the next login asks for a new password.',
    examples: [false],
  }),
};

const privateView = z.object(privateMembers);
export type PrivateView = z.output<typeof privateView>;

/** The answer about one user: the private members only for administrators. */
export const userDetails = z.object({ ...userView.shape, ...privateView.partial().shape }).meta({
  id: 'UserDetails',
  description:
    'A user; with `private_metadata`, `ban` and `password_change_required` where an administrator reads another user.',
});

/** All of it, for the person that it is about. */
export const personalAccount = z
  .object({ ...userView.shape, ...privateMembers })
  .meta({ id: 'PersonalAccount', description: 'All that the account itself holds, but secrets.' });

export type ViewedFields = Pick<
  UserDocument,
  | '_id'
  | 'name'
  | 'email'
  | 'emailVerified'
  | 'verifiedEmailKey'
  | 'role'
  | 'status'
  | 'externalId'
  | 'userMetadata'
  | 'appMetadata'
  | 'createdAt'
  | 'updatedAt'
  | 'lastLoginAt'
>;

/** The fields that a view reads from the database: an allow-list. */
export const VIEW_PROJECTION = {
  _id: 1,
  name: 1,
  email: 1,
  emailVerified: 1,
  verifiedEmailKey: 1,
  role: 1,
  status: 1,
  externalId: 1,
  userMetadata: 1,
  appMetadata: 1,
  createdAt: 1,
  updatedAt: 1,
  lastLoginAt: 1,
} as const;

export function viewOf(user: ViewedFields): UserView {
  return {
    id: user._id.toHexString(),
    name: user.name,
    email: user.email,
    email_verified: isEmailVerified(user),
    role: user.role,
    status: user.status,
    external_id: user.externalId ?? null,
    user_metadata: user.userMetadata ?? {},
    app_metadata: user.appMetadata ?? {},
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
    last_login_at: user.lastLoginAt?.toISOString() ?? null,
  };
}

export type PrivateFields = Pick<
  UserDocument,
  'status' | 'privateMetadata' | 'bannedUntil' | 'banReason' | 'mustChangePassword'
>;

export const PRIVATE_PROJECTION = {
  privateMetadata: 1,
  bannedUntil: 1,
  banReason: 1,
  mustChangePassword: 1,
} as const;

export const privateViewOf = (user: PrivateFields): PrivateView => ({
  private_metadata: user.privateMetadata ?? {},
  ban:
    user.status === 'banned'
      ? { until: user.bannedUntil?.toISOString() ?? null, reason: user.banReason ?? null }
      : null,
  password_change_required: user.mustChangePassword === true,
});

/**
 * Of one user's revision: the same address (`me`, `profile`) is another user's for another token,
 * and a browser's copy of the one must not be confirmed (304) to the other. A login changes
 * the bytes and no revision, so its time is named too; conditions of writes compare the revision.
 */
export const etagOf = (id: string, rev: number, lastLoginAt: Date | undefined): string =>
  `"${id}.${rev}.${(lastLoginAt?.getTime() ?? 0).toString(36)}"`;

/**
 * The tag that conditions of writes compare. For those who may write a user and not read it: the
 * whole tag holds the time of the last login.
 */
export const revisionTagOf = (etag: string): string => `${etag.split('.', 2).join('.')}"`;

/** Of the same revision with the private members: other bytes, so another tag. */
export const privateEtagOf = (etag: string): string => `${etag.slice(0, -1)}.private"`;
