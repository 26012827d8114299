import { Types } from 'mongoose';
import type { NewUser } from './changes';
import type { UserDocument } from './model';
import { searchFields } from './search/search-keys';
import { createdEvent } from './user-events';
import { foldedEmail, foldedName, present } from './write-commands';

/** A user as it is first stored. */
export const newDocument = (
  { id, name, email, passwordHash, role, metadata = {}, ...is }: NewUser,
  now: Date,
  /** Of the write. */
  at = now,
): UserDocument => ({
  _id: new Types.ObjectId(id),
  ...foldedName(name),
  ...foldedEmail(email),
  ...searchFields(name, email),
  emailVerified: is.emailVerified === true,
  passwordHash,
  role,
  status: 'active',
  rev: 1,
  sessionVersion: 1,
  revokedSessions: [],
  ...present(metadata),
  ...(is.isSignedIn === true ? { lastLoginAt: now } : {}),
  outbox: [createdEvent(at)],
  createdAt: now,
  updatedAt: now,
});
