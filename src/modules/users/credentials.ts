import type { Role } from '../../kernel/permissions';
import { isBanOver } from './bans';
import { isEmailVerified, type UserDocument } from './model';

/** The fields that a login reads. */
export interface Credentials {
  readonly id: string;
  readonly role: Role;
  /** By the database's time: `active` once a ban is over. */
  readonly status: 'active' | 'banned';
  readonly sessionVersion: number;
  readonly passwordHash: string;
  readonly email: string;
  readonly emailVerified: boolean;
  /** An earlier address was verified: the factors and links of the account are its owner's. */
  readonly hadVerifiedEmail: boolean;
  readonly mustChangePassword: boolean;
  /** The session version that the present password began with. */
  readonly passwordVersion: number;
}

export const CREDENTIALS = {
  role: 1,
  status: 1,
  sessionVersion: 1,
  passwordHash: 1,
  email: 1,
  emailVerified: 1,
  hadVerifiedEmail: 1,
  verifiedEmailKey: 1,
  bannedUntil: 1,
  mustChangePassword: 1,
  passwordVersion: 1,
  readAt: '$$NOW',
} as const;

export type FoundCredentials = Pick<
  UserDocument,
  | '_id'
  | 'verifiedEmailKey'
  | 'bannedUntil'
  | 'mustChangePassword'
  | 'passwordVersion'
  | keyof Omit<Credentials, 'id'>
> & { readonly readAt: Date };

export function toCredentials(user: FoundCredentials | null): Credentials | null {
  if (user === null) return null;
  const { _id, role, sessionVersion, passwordHash, email } = user;
  return {
    id: _id.toHexString(),
    role,
    status: isBanOver(user, user.readAt) ? 'active' : user.status,
    sessionVersion,
    passwordHash,
    email,
    emailVerified: isEmailVerified(user),
    hadVerifiedEmail: user.hadVerifiedEmail === true,
    mustChangePassword: user.mustChangePassword === true,
    passwordVersion: user.passwordVersion ?? 0,
  };
}
